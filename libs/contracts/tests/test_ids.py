"""Ids carry their time, and ids made from others are the same whenever made."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from contracts.ids import derived_id, renewal_order_id, uuid7_time

BASE = UUID("01939f9c-5c00-7abc-8def-0123456789ab")


def test_a_derived_id_is_stable_and_keeps_the_time_of_its_base() -> None:
    first = derived_id(BASE, 1, "job_started")
    again = derived_id(BASE, 1, "job_started")

    assert first == again
    assert first.version == 7
    assert first.variant == BASE.variant
    assert uuid7_time(first) == uuid7_time(BASE)


def test_derived_ids_differ_by_every_part() -> None:
    ids = {derived_id(BASE, epoch, kind) for epoch in range(50) for kind in ("a", "b")}

    assert len(ids) == 100


def test_an_id_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        uuid7_time(uuid4())


def test_a_period_has_one_order_id_in_every_time_zone() -> None:
    end = datetime(2026, 12, 1, tzinfo=UTC)

    assert renewal_order_id(BASE, end) == renewal_order_id(BASE, end.astimezone())
