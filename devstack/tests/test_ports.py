import socket
from pathlib import Path

import pytest

from devstack.ports import LOOPBACK, free_port, free_row, is_free
from simulators import ports


def test_a_free_port_can_be_bound_and_then_is_not_free():
    port = free_port()

    with socket.socket() as listener:
        listener.bind((LOOPBACK, port))
        listener.listen()

        assert not is_free(port)


def test_free_ports_lie_below_those_the_kernel_gives_to_clients():
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert max(free_port() for _ in range(50)) < first_ephemeral


@pytest.fixture
def few_ports(monkeypatch):
    """A worker's share that is soon used up."""
    lowest, _ = ports.own_range()
    monkeypatch.setattr(ports, "own_range", lambda: (lowest, lowest + 299))
    monkeypatch.setattr(ports, "_given", {})
    monkeypatch.setattr(ports, "_rows_given", {})


@pytest.mark.usefixtures("few_ports")
def test_no_port_is_given_twice_though_nobody_has_bound_it_yet():
    given = [free_port() for _ in range(80)]

    assert len(set(given)) == len(given)


@pytest.mark.usefixtures("few_ports")
def test_no_port_of_a_row_is_given_to_anybody_else():
    rows = [range(first, first + 20) for first in (free_row(20), free_row(20))]

    row = {port for each in rows for port in each}
    assert len(row) == 40
    assert not row & {free_port() for _ in range(80)}


@pytest.mark.usefixtures("few_ports")
def test_ports_given_long_ago_are_given_again():
    assert len({free_port() for _ in range(1_000)}) <= 200
