"""Typed ids, and the two ways an id is made from another: derived (UUIDv7) and named (v5)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import NewType
from uuid import UUID, uuid5

OrderId = NewType("OrderId", UUID)
MessageId = NewType("MessageId", UUID)
MediaId = NewType("MediaId", UUID)
PaymentId = NewType("PaymentId", UUID)
SubscriptionId = NewType("SubscriptionId", UUID)
"""One person's VPN access, for as long as they keep it: keys rotate, this stays."""
UserId = NewType("UserId", int)
"""A Telegram user id; the same number is the id of the private chat."""
USER_ID_MAX = (1 << 63) - 1
"""What a column of user ids holds; Telegram's ids have 52 bits."""
NOBODY = UserId(0)
"""Whose a message is when it could not even be decoded; Telegram gives nobody this id."""

_TIME_SHIFT = 80
_RANDOM_BITS = (1 << _TIME_SHIFT) - 1
_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62
_VERSION_MASK = ~(0xF << 76)
_VARIANT_MASK = ~(0b11 << 62)
RENEWAL_ORDERS_MAX = 16
"""So many orders of one period may end with nobody charged; asked again, it stays at that."""
_PERIODS = UUID("5f1d3a44-6b0e-5f0b-9c0a-5e0f6a1c7d21")


def uuid7_time(value: UUID) -> datetime:
    """The moment a UUIDv7 was made, to the millisecond, in UTC.

    Raises ValueError for any other version: an id whose time is read must carry one.
    """
    if value.version != 7:  # noqa: PLR2004 - the version's own number
        raise ValueError(f"{value} is not a UUIDv7")
    return datetime.fromtimestamp((value.int >> _TIME_SHIFT) / 1000, tz=UTC)


def derived_id(base: UUID, *parts: object) -> MessageId:
    """An id in UUIDv7 layout that is the same whenever made from the same base and parts.

    It keeps the base's time, so a re-sent event falls into the same inbox partition
    (layout: RFC 9562 §5.7).
    """
    digest = hashlib.sha256(base.bytes + "\x1f".join(map(str, parts)).encode()).digest()
    random = int.from_bytes(digest[:10], "big") & _RANDOM_BITS
    value = (base.int >> _TIME_SHIFT << _TIME_SHIFT) | random
    value = value & _VERSION_MASK | _VERSION_7
    value = value & _VARIANT_MASK | _VARIANT_RFC
    return MessageId(UUID(int=value))


def renewal_order_id(subscription: UUID, period_end: datetime, again: int = 0) -> OrderId:
    """The order id of a subscription's period: charging a period twice becomes impossible.

    `again` counts the period's orders that ended with nobody charged: the next id is used only
    once the one before it is refunded for good, so at most one of them is ever open or charged.
    """
    moment = period_end.astimezone(UTC).isoformat()
    suffix = f":{again}" if again else ""
    return OrderId(uuid5(_PERIODS, f"{subscription}:{moment}{suffix}"))


def renewal_order_ids(subscription: UUID, period_end: datetime) -> tuple[OrderId, ...]:
    """Every id that an order of a subscription's period can have, in the order of their use."""
    return tuple(
        renewal_order_id(subscription, period_end, again) for again in range(RENEWAL_ORDERS_MAX)
    )
