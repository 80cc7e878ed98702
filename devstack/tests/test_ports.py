import socket
from pathlib import Path

from devstack.ports import LOOPBACK, free_port, is_free


def test_a_free_port_can_be_bound_and_then_is_not_free():
    port = free_port()

    with socket.socket() as listener:
        listener.bind((LOOPBACK, port))
        listener.listen()

        assert not is_free(port)


def test_free_ports_lie_below_those_the_kernel_gives_to_clients():
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert max(free_port() for _ in range(50)) < first_ephemeral
