"""Frames of the NATS protocol: what is written for a publish, and what arrives at an inbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from contracts.envelope import MESSAGE_BYTES_MAX

CRLF = b"\r\n"
HEADER_LINE = b"NATS/1.0\r\n"
STATUS_START = len(b"NATS/1.0 ")
STATUS_END = STATUS_START + 3
_SPACE = re.compile(r"\s")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class MessageTooLargeError(ValueError):
    """The body is over MESSAGE_BYTES_MAX; media travel through the object store."""


class Frame(msgspec.Struct, gc=False):
    """One message as it arrived. A status frame (heartbeat, timeout, refusal) has `status` > 0."""

    subject: str
    reply: str
    body: bytes
    raw_headers: bytes | None

    @property
    def status(self) -> int:
        raw = self.raw_headers
        if not raw or raw[STATUS_START - 1 : STATUS_START] != b" ":
            return 0
        digits = raw[STATUS_START:STATUS_END]
        return int(digits) if digits.isdigit() else 0

    @property
    def description(self) -> str:
        """The words after a status code."""
        line = (self.raw_headers or b"").split(CRLF, 1)[0]
        return line[STATUS_END:].decode("utf-8", "replace").strip()

    @property
    def headers(self) -> dict[str, str]:
        return parse_headers(self.raw_headers)


def parse_headers(raw: bytes | None) -> dict[str, str]:
    """Return the headers of a message; the first line (version and status) is not one."""
    found: dict[str, str] = {}
    if raw is None:
        return found
    for line in raw.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found


def check_size(subject: str, body: bytes) -> None:
    if len(body) > MESSAGE_BYTES_MAX:
        raise MessageTooLargeError(
            f"a message on {subject} is {len(body)} bytes; at most {MESSAGE_BYTES_MAX} travel"
        )


def publish_frame(
    subject: str, body: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
) -> bytes:
    """Return the bytes of a publish. Raises ValueError for what would break the protocol."""
    check_size(subject, body)
    if not subject or _SPACE.search(subject):
        raise ValueError(f"not a subject: {subject!r}")
    if not headers:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(body), body)
    head = _header_block(headers)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
        subject.encode(),
        reply.encode(),
        len(head),
        len(head) + len(body),
        head,
        body,
    )


def _header_block(headers: Mapping[str, str]) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # A line break in a value would end the header and let the rest be read as a command.
    if not lines.count("\n") == lines.count("\r") == len(headers):
        raise ValueError(f"not a header: a line break in one of {sorted(headers)}")
    for name in headers:
        _check_name(name)
    return HEADER_LINE + lines.encode() + CRLF


@lru_cache(maxsize=256)
def _check_name(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"not a header: {name!r}")
