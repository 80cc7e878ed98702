"""Files that survive a kill at any byte: framed records, and whole files replaced at once."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from chassis import logs

log = logs.get("vpn.agent.journal")
_HEAD = struct.Struct(">I16s")
PRIVATE = 0o600


def framed(payload: bytes) -> bytes:
    """Return length, digest and payload: a torn or altered record cannot pass for a whole one."""
    return _HEAD.pack(len(payload), _digest(payload)) + payload


def unframed(data: bytes) -> tuple[list[bytes], int]:
    """Return the whole records at the start of `data`, and how many bytes they take."""
    records = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, digest = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(payload) < length or _digest(payload) != digest:
            break
        records.append(payload)
        at += _HEAD.size + length
    return records, at


def salvaged(data: bytes) -> tuple[list[bytes], int, bool]:
    """Return every whole record, where the last one ends, and whether any other was damaged.

    A tail that a kill cut short was acknowledged to nobody, so it counts as no damage.
    """
    records, at = unframed(data)
    damaged = False
    while at < len(data):
        following = _next_whole(data, at)
        if following == len(data):
            return records, at, damaged or not _torn(data[at:])
        damaged = True
        more, length = unframed(data[following:])
        records += more
        at = following + length
    return records, at, damaged


def _next_whole(data: bytes, bad: int) -> int:
    """Return where the next whole record begins; the end of `data` when there is none."""
    if bad + _HEAD.size <= len(data):
        behind: int = bad + _HEAD.size + _HEAD.unpack_from(data, bad)[0]
        if _is_whole(data, behind):
            return behind
    return next((at for at in range(bad + 1, len(data)) if _is_whole(data, at)), len(data))


def _is_whole(data: bytes, at: int) -> bool:
    if at + _HEAD.size > len(data):
        return False
    length, digest = _HEAD.unpack_from(data, at)
    begin = at + _HEAD.size
    fits: bool = begin + length <= len(data)
    return fits and _digest(data[begin : begin + length]) == digest


def _torn(tail: bytes) -> bool:
    """Whether a kill may have left this: less than it says it is, or never filled."""
    if len(tail) < _HEAD.size or not tail.strip(b"\0"):
        return True
    length, digest = _HEAD.unpack_from(tail)
    payload = tail[_HEAD.size :]
    short: bool = len(payload) < length
    return short and _digest(payload) != digest


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


def replace(path: Path, payload: bytes, *, durable: bool = True) -> None:
    """Write a whole file so that any crash leaves either the old or the new one.

    What is not `durable` survives a kill of this process, but perhaps not the machine's end.
    """
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(payload)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
    if durable:
        _sync_folder(path.parent)


def keep_aside(path: Path, data: bytes) -> None:
    """Keep a damaged file as it was, for whoever looks into it; a full disk is no reason to end."""
    aside = path.with_name(path.name + ".damaged")
    try:
        replace(aside, data)
    except OSError as error:
        log.warning("damaged_file_not_kept", file=path.name, why=error.strerror)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Journal:
    """An append-only file of framed records. One writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self.size = 0
        self.damaged = False
        """Whether acknowledged records could not be read; the file as it was is kept aside."""

    def open(self) -> list[bytes]:
        """Return every whole record; a torn tail, which nobody was told of, is cut off."""
        created = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE)
        data = self._path.read_bytes()
        records, self.size, self.damaged = salvaged(data)
        if self.damaged:
            keep_aside(self._path, data)
            log.error("journal_damaged", bytes=len(data), readable=len(records))
        if self.size < len(data):
            log.warning("journal_tail_dropped", kept=self.size, dropped=len(data) - self.size)
            os.ftruncate(self._descriptor, self.size)
            os.fsync(self._descriptor)
        if created:
            _sync_folder(self._path.parent)
        return records

    def append(self, payload: bytes, *, durable: bool = True) -> None:
        """Add a record. An append that fails half-way is undone, so the next one is readable."""
        data = framed(payload)
        try:
            written = os.pwrite(self._descriptor, data, self.size)
            if written < len(data):
                raise OSError(f"{self._path.name}: {written} of {len(data)} bytes written")
            if durable:
                os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def clear(self) -> None:
        """Forget every record: a snapshot holds them."""
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)
        self.size = 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
