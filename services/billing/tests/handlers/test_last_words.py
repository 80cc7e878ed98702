"""Older words on tiers and renewals that come after newer ones."""

from datetime import timedelta

import pytest

from billing.handlers import change_subscription, record_subscription_edited
from billing.handlers.apart import apart
from billing.handlers.set_tier import set_tiers
from billing.testing import received
from chassis.clock import id_floor, new_id
from contracts.billing import SetTier
from contracts.gateway import EditStarsSubscription, StarsSubscriptionEdited
from contracts.payments import ChangeSubscription

USER = 7


@pytest.fixture
def ago(cashier):
    return lambda seconds: id_floor(cashier.now - timedelta(seconds=seconds))


async def hear(cashier, handler, message, said, **parts):
    """What came of a message that was sent under this id; its rows."""
    async with cashier.desk.begin() as uow:
        await handler([received(message, message_id=said)], uow, **parts)
    return uow.rows


async def set_tier(cashier, tier, said):
    command = SetTier(user_id=USER, tier=tier, reason="r", actor="op")
    rows = await hear(cashier, set_tiers, command, said, books=cashier.desk.books)
    return [row.subject.split(".")[2] for row in rows]


async def test_a_tier_stays_as_it_was_set_last(cashier, ago):
    await cashier.desk.open(USER)

    assert await set_tier(cashier, "none", ago(10)) == ["tier_set"]
    assert await set_tier(cashier, "black_gold", ago(20)) == ["command_rejected"]
    assert (await cashier.account()).tier == "none"

    assert await set_tier(cashier, "vip", ago(5)) == ["tier_set"]
    assert (await cashier.account()).tier == "vip"


async def test_a_tier_that_cannot_be_set_is_no_word(cashier, ago):
    await cashier.desk.open(USER)

    assert await set_tier(cashier, "emperor", ago(5)) == ["command_rejected"]
    assert await set_tier(cashier, "vip", ago(10)) == ["tier_set"]


async def test_what_was_paid_for_since_is_not_set_away(cashier, ago):
    await cashier.desk.grant(USER, 500)
    await cashier.buy()  # a month of vip, now

    assert await set_tier(cashier, "none", ago(3)) == ["command_rejected"]

    assert (await cashier.account()).tier == "vip"
    # An operator who knows of it may take it.
    await cashier.later(seconds=1)
    assert await set_tier(cashier, "none", ago(0)) == ["tier_set"]


async def subscribed(cashier):
    await cashier.bought("vip_30", 250, first_recurring=True, recurring=True)


async def test_renewals_stay_as_they_were_asked_for_last(cashier, ago):
    await subscribed(cashier)
    handler = apart(change_subscription.change_subscription, till=cashier.till)

    def change(cancelled):
        return ChangeSubscription(user_id=USER, charge_id="charge-1", cancelled=cancelled)

    (asked,) = await hear(cashier, handler, change(True), ago(10))
    late = await hear(cashier, handler, change(False), ago(20))

    assert EditStarsSubscription.decode(asked.body).cancelled
    assert late == []


async def test_renewals_are_shown_as_telegram_changed_them_last(cashier, ago):
    await subscribed(cashier)
    handler = apart(record_subscription_edited.record_subscription_edited, till=cashier.till)

    def edited(cancelled):
        return StarsSubscriptionEdited(
            user_id=USER, charge_id="charge-1", cancelled=cancelled, code=""
        )

    await hear(cashier, handler, edited(True), ago(10))
    await hear(cashier, handler, edited(False), ago(20))

    async with cashier.desk.begin() as uow:
        found = await cashier.till.charges.subscription(uow.connection, charge_id="charge-1")
    assert found.state == "cancelled"
    await hear(cashier, handler, edited(False), new_id())
