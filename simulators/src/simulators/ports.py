"""Ports for servers that must keep theirs across a restart."""

import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
TRIES_MAX = 200
WORKERS_MAX = 8
SHARE_OF_ROWS = 3
"""Every third port of a worker is for rows, where no single port is taken from."""

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_given: dict[int, None] = {}
_rows_given: dict[int, None] = {}
"""The first port of each row, and the oldest first, as above."""


def free_port() -> int:
    """A free TCP port below the range the kernel takes for outgoing connections.

    A port of that range may go to any client while a killed server is down, even to the client
    that keeps reconnecting to it (a loopback socket can connect to itself), and the server could
    never come back. Nor may another worker of the same test run take it then: each has its share.
    Nor is it given twice soon: who got it may not have bound it yet, or be down for a moment.
    """
    lowest, highest = own_range()
    return _give(_given, lowest + _for_rows(lowest, highest), highest, 1)


def free_row(length: int) -> int:
    """The first of a row of free ports; the same `length` at every call of a process."""
    lowest, highest = own_range()
    return _give(_rows_given, lowest, lowest + _for_rows(lowest, highest) - 1, length)


def _for_rows(lowest: int, highest: int) -> int:
    return (highest - lowest + 1) // SHARE_OF_ROWS


def _give(given: dict[int, None], lowest: int, highest: int, length: int) -> int:
    places = (highest - lowest + 1) // length
    for _ in range(TRIES_MAX):
        first = lowest + random.randrange(places) * length
        if first not in given and all(map(is_free, range(first, first + length))):
            given[first] = None
            if len(given) > places // 2:
                del given[next(iter(given))]
            return first
    raise RuntimeError(f"no free port in {TRIES_MAX} tries between {lowest} and {highest}")


def own_range() -> tuple[int, int]:
    """The lowest and the highest port this process may take."""
    highest = min(_first_ephemeral_port(), 32_768) - 1
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not worker.isdigit():
        return LOWEST_PORT, highest
    share = (highest + 1 - LOWEST_PORT) // WORKERS_MAX
    first = LOWEST_PORT + int(worker) % WORKERS_MAX * share
    return first, first + share - 1


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A server that restarts at once sets the same option: without it TIME_WAIT looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _first_ephemeral_port() -> int:
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return 32_768
    # A kernel set to use nearly every port for clients leaves nothing below: use what there is.
    return first if first > LOWEST_PORT + 1_000 else 32_768
