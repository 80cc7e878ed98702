"""Who calls an HTTP endpoint: the peer, or whom a proxy that we trust names in a header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator

Network = IPv4Network | IPv6Network
IPV6_PREFIX: Final = 64
"""One household has at least so many addresses of its own."""
PRIVATE: Final = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Where a proxy in the same machine or cluster calls from, and nobody on the internet does."""


class Caller(NamedTuple):
    address: str
    """As precise as known; empty: not known."""
    key: str
    """Whom to count a request for: an IPv4 address, or the network of an IPv6 one."""


class Proxies:
    """Whose word about a client's address is taken, and in which header they give it.

    No header: nobody's, so the peer is the client. Behind a proxy that is then everybody together.
    """

    def __init__(self, header: str = "", networks: Sequence[Network] = ()) -> None:
        self.header = header
        self._networks = networks

    def caller(self, peer: str, listed: Iterable[str]) -> Caller:
        """The last address that was not written by a trusted proxy: the first is the client's word.

        Something that is no address ends the search: then it is whoever handed it to us.
        """
        last = _address(peer)
        if last is None:
            return Caller(peer, peer)
        if self.header:
            entries = [entry for line in listed for entry in line.split(",")]
            while entries and self._trusted(last):
                named = _address(entries.pop())
                if named is None:
                    break
                last = named
        return Caller(str(last), _key(last))

    def _trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def networks(text: str) -> tuple[Network, ...]:
    """Networks written with commas between. Raises ValueError for what is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _checked(text: str) -> str:
    networks(text)
    return text


NetworkList = Annotated[str, AfterValidator(_checked)]
"""A setting: networks with commas between."""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _key(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), IPV6_PREFIX), strict=False))
    return str(address)
