"""Prices round up to whole credits; every contract's subject has a stream and a consumer."""

import fnmatch

import pytest

from contracts import (
    access,
    billing,
    gateway,
    generator,
    operators,
    payments,
    rewards,
    scheduler,
    topology,
    vpn,
)
from contracts.envelope import Command, Event, contracts_of
from contracts.money import Credits, discounted

CONTRACTS = contracts_of(
    access, gateway, billing, operators, payments, rewards, generator, vpn, scheduler
)


@pytest.mark.parametrize(
    ("price", "percent", "expected"),
    [(10, 0, 10), (10, 5, 10), (30, 50, 15), (7, 50, 4), (1, 99, 1), (9, 100, 0)],
)
def test_a_discount_rounds_up_to_a_whole_credit(price: int, percent: int, expected: int) -> None:
    assert discounted(Credits(price), percent) == expected


@pytest.mark.parametrize("percent", [-1, 101])
def test_an_impossible_discount_is_refused(percent: int) -> None:
    with pytest.raises(ValueError, match="0-100"):
        discounted(Credits(10), percent)


@pytest.mark.parametrize(
    "subject", sorted(s for s, kind in CONTRACTS.items() if issubclass(kind, (Command, Event)))
)
def test_every_subject_is_stored_by_exactly_one_stream(subject: str) -> None:
    concrete = subject.format(pool="image", lane="regular")
    pattern = [
        stream.name
        for stream in topology.streams()
        for subjects in stream.subjects
        if fnmatch.fnmatchcase(concrete, subjects.replace(">", "*"))
    ]

    assert pattern == [topology.stream_of(concrete)]


def test_a_subject_outside_the_topology_is_refused() -> None:
    with pytest.raises(ValueError, match="no stream stores"):
        topology.stream_of("elsewhere.cmd.x")


def test_no_stream_is_declared_to_forget_when_full() -> None:
    assert {stream.discard for stream in topology.streams()} == {"new"}


def test_work_queue_filters_do_not_overlap() -> None:
    for stream in topology.streams():
        if stream.retention != "workqueue":
            continue
        filters = [f for c in topology.consumers() if c.stream == stream.name for f in c.filters]
        assert len(filters) == len(set(filters))
