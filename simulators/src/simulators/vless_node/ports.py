"""A port for a program that must be told its own."""

import random
import socket

LOWEST, HIGHEST = 10_000, 32_000
TRIES_MAX = 200


def free_port() -> int:
    """A free TCP port below the range the kernel takes for outgoing connections."""
    for _ in range(TRIES_MAX):
        port = random.randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
