"""When a link passes, what it says of time, and which nodes can be linked to."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from contracts.vpn import STATE_ACTIVE, STATE_GRACE, STATE_SUSPENDED
from vpn.adapters.memory_links import SAMPLE_NODES, sample
from vpn.domain.links import (
    NOTE_DEVICES,
    NOTE_GRACE,
    REASON_EXPIRED,
    REASON_NO_NODES,
    REASON_SUSPENDED,
    REASON_TRAFFIC,
    Shop,
    flag,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RUNNING = sample(NOW + DAY)


def test_running_access_passes():
    assert RUNNING.reason(NOW) == ""


@pytest.mark.parametrize("state", [STATE_ACTIVE, STATE_GRACE, STATE_SUSPENDED])
def test_access_ends_by_the_clock_before_the_sweep_comes(state: str):
    view = dataclasses.replace(RUNNING, state=state, until=NOW)

    assert view.reason(NOW) == REASON_EXPIRED


def test_grace_lasts_to_its_own_end():
    view = dataclasses.replace(RUNNING, state=STATE_GRACE, until=NOW - DAY, grace_until=NOW + DAY)

    assert view.reason(NOW) == ""
    assert view.reason(NOW + DAY) == REASON_EXPIRED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": STATE_SUSPENDED}, REASON_SUSPENDED),
        ({"limit_bytes": RUNNING.used_bytes}, REASON_TRAFFIC),
        ({"limit_bytes": RUNNING.used_bytes + 1}, ""),
        ({"limit_bytes": 1, "state": STATE_SUSPENDED}, REASON_TRAFFIC),
        ({"limit_bytes": 0}, ""),
        ({"devices_over": True}, ""),
        ({"nodes": ()}, REASON_NO_NODES),
        ({"nodes": (), "limit_bytes": 1}, REASON_TRAFFIC),
    ],
)
def test_the_first_reason_is_told(changes: dict, reason: str):
    assert dataclasses.replace(RUNNING, **changes).reason(NOW) == reason


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, ""),
        ({"devices_over": True}, NOTE_DEVICES),
        ({"until": NOW, "grace_until": NOW + DAY}, NOTE_GRACE),
        ({"until": NOW, "grace_until": NOW + DAY, "devices_over": True}, NOTE_GRACE),
    ],
)
def test_what_works_may_carry_a_note(changes: dict, note: str):
    assert dataclasses.replace(RUNNING, **changes).note(NOW) == note


@pytest.mark.parametrize(
    ("left", "days"),
    [(-DAY, 0), (timedelta(0), 0), (timedelta(seconds=1), 1), (DAY, 1), (DAY * 1.5, 2)],
)
def test_a_begun_day_is_a_day(left: timedelta, days: int):
    assert dataclasses.replace(RUNNING, until=NOW + left).days_left(NOW) == days


def test_regions_that_begin_with_two_letters_have_flags():
    regions = ("nl", "RU", "us-east", "", "west", "1a", "яя")

    assert [flag(each) for each in regions] == ["🇳🇱", "🇷🇺", "🇺🇸", "", "", "", ""]


def test_a_links_address_is_the_shops():
    shop = Shop(title="Shop", base_url="https://sub.example.com")

    assert shop.link("abc") == "https://sub.example.com/sub/abc"


def test_sample_nodes_are_sound():
    assert [list(each.problems()) for each in SAMPLE_NODES] == [[]] * len(SAMPLE_NODES)


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0},
        {"port": 65_536},
        {"address": ""},
        {"network": "quic"},
        {"security": "xtls"},
        {"flow": "other"},
        {"pbk": ""},
        {"sni": ""},
        {"sid": "abc"},
        {"sid": "0123456789abcdef01"},
        {"sid": "XY"},
        {"network": "ws"},
        {"network": "grpc", "flow": ""},
        {"name": "two\nlines"},
    ],
)
def test_a_node_nobody_could_use_says_what_is_wrong(changes: dict):
    assert list(dataclasses.replace(SAMPLE_NODES[0], **changes).problems())
