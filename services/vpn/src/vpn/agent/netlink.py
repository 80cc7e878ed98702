"""The kernel's TCP connections to one local port, and how to end one of them (sock_diag(7))."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

import msgspec

from chassis import logs

log = logs.get("vpn.agent.netlink")
_SOCK_DIAG = 4
_BY_FAMILY = 20
_DESTROY = 21
_DONE = 3
_ERROR = 2
_REQUEST = 1
_ACK = 4
_DUMP = 0x300
_ESTABLISHED = 1
_HEADER = struct.Struct("=IHHII")
_REQUEST_BODY = struct.Struct("=BBBxI")
_ID = struct.Struct("!HH16s16s")
_ID_BYTES = 48
_ID_AT = 4
"""The id begins after family, state, timer and retransmits."""
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_SECONDS = 5.0

Address = tuple[str, int]


class Connection(msgspec.Struct, frozen=True):
    """An established connection; `handle` is how the kernel wants it named."""

    peer: Address
    family: int
    handle: bytes


def connections(port: int) -> list[Connection]:
    """Return the established TCP connections that arrived at a local port."""
    found: list[Connection] = []
    with _open() as link:
        for family in (socket.AF_INET, socket.AF_INET6):
            wanted = struct.pack("!HH", port, 0) + bytes(_ID_BYTES - 4)
            body = _REQUEST_BODY.pack(family, socket.IPPROTO_TCP, 0, 1 << _ESTABLISHED) + wanted
            _send(link, _BY_FAMILY, _REQUEST | _DUMP, body)
            found += [one for one in map(_connection, _dump(link)) if one is not None]
    # An older kernel filters by port only with a program: what it sent too much is dropped here.
    return [one for one in found if struct.unpack("!H", one.handle[:2])[0] == port]


def end(connection: Connection) -> bool:
    """End a connection at once, for both sides. False: it was gone already.

    PermissionError without CAP_NET_ADMIN; OSError (EOPNOTSUPP) where the kernel was built without.
    """
    body = _REQUEST_BODY.pack(connection.family, socket.IPPROTO_TCP, 0, 1 << _ESTABLISHED)
    with _open() as link:
        _send(link, _DESTROY, _REQUEST | _ACK, body + connection.handle)
        for kind, payload in messages(link.recv(_RECEIVE_BYTES)):
            if kind == _ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                if number == errno.ENOENT:
                    return False
                if number:
                    raise OSError(number, os.strerror(number))
    return True


def why_not_ending() -> str:
    """Try to end a connection of our own on loopback; return why it cannot be done, or nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname(), _TIMEOUT_SECONDS) as client:
            accepted, peer = server.accept()
            with accepted:
                try:
                    mine = [
                        one
                        for one in connections(server.getsockname()[1])
                        if one.peer == (peer[0], peer[1])
                    ]
                    if not mine or not end(mine[0]):
                        return "the kernel does not show its connections"
                except PermissionError:
                    return "needs CAP_NET_ADMIN"
                except OSError as error:
                    return f"the kernel cannot: {error.strerror}"
                client.settimeout(_TIMEOUT_SECONDS)
                try:
                    client.recv(1)
                except OSError:
                    return ""
    return "the kernel says it did but did not"


def _open() -> socket.socket:
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)
    link.settimeout(_TIMEOUT_SECONDS)
    return link


def _send(link: socket.socket, kind: int, flags: int, body: bytes) -> None:
    link.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body)


def _dump(link: socket.socket) -> Iterator[bytes]:
    while True:
        for kind, payload in messages(link.recv(_RECEIVE_BYTES)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                raise OSError(number, os.strerror(number))
            yield payload


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and payload of what came in one read."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _connection(payload: bytes) -> Connection | None:
    family = payload[0]
    handle = payload[_ID_AT : _ID_AT + _ID_BYTES]
    _, peer_port, _, raw = _ID.unpack_from(handle)
    if family == socket.AF_INET:
        text = str(ip_address(raw[:4]))
    elif family == socket.AF_INET6:
        text = plain(IPv6Address(raw))
    else:
        return None
    return Connection((text, peer_port), family, handle)


def plain(address: IPv6Address) -> str:
    """Return an address as IPv4 where it is one in disguise."""
    return str(address.ipv4_mapped or address)
