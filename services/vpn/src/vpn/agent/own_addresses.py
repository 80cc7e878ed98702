"""The addresses of this machine's interfaces, as the kernel lists them (rtnetlink(7))."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from vpn.agent.core_targets import PRIVATE
from vpn.agent.netlink import messages

_ROUTE = 0
_GET_ADDRESSES = 22
_NEW_ADDRESS = 20
_DONE, _ERROR = 3, 2
_DUMP_REQUEST = 0x301
_HEADER = struct.Struct("=IHHII")
_BODY_BYTES = 8
"""ifaddrmsg: family, prefix length, flags, scope, interface."""
_ATTRIBUTE = struct.Struct("=HH")
_ADDRESS, _LOCAL = 1, 2
_RECEIVE_BYTES = 1 << 18
_TIMEOUT_SECONDS = 5.0


def public() -> tuple[str, ...]:
    """Return those of the machine's addresses that are not private anyway, in order."""
    private = [ip_network(one) for one in PRIVATE]
    found = {ip_address(raw) for raw in _listed()}
    own = [one for one in found if not any(one in network for network in private)]
    return tuple(str(one) for one in sorted(own, key=lambda one: (one.version, int(one))))


def _listed() -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _ROUTE) as link:
        link.settimeout(_TIMEOUT_SECONDS)
        body = bytes(_BODY_BYTES)
        head = _HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _DUMP_REQUEST, 0, 0)
        link.send(head + body)
        while True:
            for kind, payload in messages(link.recv(_RECEIVE_BYTES)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise OSError(number, os.strerror(number))
                if kind == _NEW_ADDRESS:
                    yield from _addresses(payload)


def _addresses(payload: bytes) -> Iterator[bytes]:
    # On a point-to-point interface ADDRESS is the other end: LOCAL, where given, is ours.
    found = {}
    at = _BODY_BYTES
    while at + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, at)
        if length < _ATTRIBUTE.size:
            return
        found[kind] = payload[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    if (mine := found.get(_LOCAL) or found.get(_ADDRESS)) is not None:
        yield mine
