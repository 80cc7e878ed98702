"""Ports for servers that must keep theirs across a restart."""

import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10_000
TRIES_MAX = 200
WORKERS_MAX = 8

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A free TCP port below the range the kernel takes for outgoing connections.

    A port of that range may go to any client while a killed server is down, even to the client
    that keeps reconnecting to it (a loopback socket can connect to itself), and the server could
    never come back. Nor may another worker of the same test run take it then: each has its share.
    """
    lowest, highest = own_range()
    for _ in range(TRIES_MAX):
        port = random.randint(lowest, highest)
        if is_free(port):
            return port
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
