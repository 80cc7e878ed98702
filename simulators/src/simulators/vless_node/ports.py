"""A port for a program that must be told its own."""

import os
import random
import socket

LOWEST, HIGHEST = 10_000, 32_000
WORKERS_MAX = 8
TRIES_MAX = 200


def free_port() -> int:
    """A free TCP port below the range the kernel takes for outgoing connections.

    Workers of one test run have a share each, as with devstack.ports.
    """
    lowest, highest = LOWEST, HIGHEST
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker.isdigit():
        share = (HIGHEST - LOWEST) // WORKERS_MAX
        lowest += int(worker) % WORKERS_MAX * share
        highest = lowest + share - 1
    for _ in range(TRIES_MAX):
        port = random.randint(lowest, highest)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
