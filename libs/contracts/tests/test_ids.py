"""Ids carry their time, and ids made from others are the same whenever made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.ids import (
    RENEWAL_ORDERS_MAX,
    derived_id,
    renewal_order_id,
    renewal_order_ids,
    uuid7_time,
)

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


def test_a_period_has_its_order_ids_in_a_row_and_shares_none_with_another() -> None:
    end = datetime(2026, 12, 21, 12, tzinfo=UTC)

    ids = renewal_order_ids(BASE, end)
    others = renewal_order_ids(BASE, end + timedelta(seconds=1))

    assert ids[0] == renewal_order_id(BASE, end)
    assert ids[1] == renewal_order_id(BASE, end, 1)
    assert len(set(ids + others)) == 2 * RENEWAL_ORDERS_MAX
