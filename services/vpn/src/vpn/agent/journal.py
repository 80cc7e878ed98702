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


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


def replace(path: Path, payload: bytes) -> None:
    """Write a whole file so that any crash leaves either the old or the new one."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


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

    def open(self) -> list[bytes]:
        """Return every whole record; a torn tail, which nobody was told of, is cut off."""
        created = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE)
        data = self._path.read_bytes()
        records, self.size = unframed(data)
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
