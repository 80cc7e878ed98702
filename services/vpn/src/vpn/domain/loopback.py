"""Where a core's API may be: it knows no passwords, so it never leaves the machine."""

from __future__ import annotations

from ipaddress import ip_address


def problem_of(address: str) -> str:
    """Return what is wrong with the host:port of a core's API; nothing, when it is of loopback."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return "a core is reached at host:port"
    if not _is_loopback(host.removeprefix("[").removesuffix("]")):
        return "a core's API asks nobody who they are: it is reached on loopback alone"
    return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may become any address
