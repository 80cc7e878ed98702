"""Older words on tiers and renewals that come after newer ones."""

from datetime import timedelta

import pytest

from billing.handlers import change_subscription, record_subscription_edited
from billing.handlers.apart import apart
from billing.handlers.set_tier import set_tiers
from chassis.clock import id_floor
from contracts.billing import CommandRejected, SetTier, TierSet
from contracts.gateway import (
    EditStarsSubscription,
    StarsSubscriptionEdited,
    StarsTransaction,
)
from contracts.payments import ChangeSubscription

USER = 7


@pytest.fixture
def ago(cashier):
    return lambda seconds: id_floor(cashier.now - timedelta(seconds=seconds))


async def set_tier(cashier, tier, said):
    command = SetTier(user_id=USER, tier=tier, reason="r", actor="op")
    desk = cashier.desk
    return [
        type(each) for each in await desk.batch(set_tiers, command, said=said, books=desk.books)
    ]


async def test_a_tier_stays_as_it_was_set_last(cashier, ago):
    await cashier.desk.open(USER)

    assert await set_tier(cashier, "none", ago(10)) == [TierSet]
    assert await set_tier(cashier, "black_gold", ago(20)) == [CommandRejected]
    assert (await cashier.account()).tier == "none"

    assert await set_tier(cashier, "vip", ago(5)) == [TierSet]
    assert (await cashier.account()).tier == "vip"


async def test_a_tier_that_cannot_be_set_is_no_word(cashier, ago):
    await cashier.desk.open(USER)

    assert await set_tier(cashier, "emperor", ago(5)) == [CommandRejected]
    assert await set_tier(cashier, "vip", ago(10)) == [TierSet]


async def test_what_was_paid_for_since_is_not_set_away(cashier, ago):
    await cashier.desk.grant(USER, 500)
    await cashier.buy()  # a month of vip, now

    assert await set_tier(cashier, "none", ago(3)) == [CommandRejected]

    assert (await cashier.account()).tier == "vip"
    # An operator who knows of it may take it.
    await cashier.later(seconds=1)
    assert await set_tier(cashier, "none", ago(0)) == [TierSet]


async def subscribed(cashier):
    """Somebody whose month is nearly over; the invoice it renews by."""
    made = await cashier.invoice("vip_30", 250)
    await cashier.pay(made, recurring=True, first_recurring=True)
    await cashier.later(days=29)
    return made


@pytest.fixture
def telegram_edited(cashier):
    handler = apart(record_subscription_edited.record_subscription_edited, till=cashier.till)

    async def hear_edited(said, *, cancelled):
        event = StarsSubscriptionEdited(
            user_id=USER, charge_id="charge-1", cancelled=cancelled, code=""
        )
        await cashier.batch(handler, event, said=said)

    return hear_edited


async def states(cashier):
    return [state for (state,) in await cashier.rows("SELECT state FROM subscriptions")]


async def test_renewals_stay_as_they_were_asked_for_last(cashier, ago):
    await subscribed(cashier)
    handler = apart(change_subscription.change_subscription, till=cashier.till)

    def change(cancelled):
        return ChangeSubscription(user_id=USER, charge_id="charge-1", cancelled=cancelled)

    (asked,) = await cashier.batch(handler, change(True), said=ago(10))
    late = await cashier.batch(handler, change(False), said=ago(20))

    assert isinstance(asked, EditStarsSubscription)
    assert asked.cancelled
    assert late == []


async def test_renewals_are_shown_as_telegram_changed_them_last(cashier, ago, telegram_edited):
    await subscribed(cashier)

    await telegram_edited(ago(10), cancelled=True)
    await telegram_edited(ago(20), cancelled=False)
    assert await states(cashier) == ["cancelled"]

    await telegram_edited(ago(5), cancelled=False)
    assert await states(cashier) == ["active"]


@pytest.mark.parametrize("told_by", ["update", "statement"])
async def test_a_renewal_that_is_told_late_does_not_resume_what_was_stopped_since(
    cashier, ago, telegram_edited, told_by
):
    made = await subscribed(cashier)
    renewed_at = cashier.now
    payment = cashier.paid(made, "charge-2", recurring=True)
    await cashier.later(minutes=20)
    await telegram_edited(ago(0), cancelled=True)
    await cashier.later(hours=5)

    if told_by == "update":
        await cashier.pay_all(payment)
    else:
        line = StarsTransaction(
            charge_id="charge-2",
            amount_minor=250,
            at=renewed_at,
            user_id=USER,
            invoice_payload=made.invoice_payload,
        )
        await cashier.statement(line)

    assert await states(cashier) == ["cancelled"]
    assert len(await cashier.rows("SELECT FROM charges")) == 2


async def test_a_renewal_after_a_stop_shows_that_it_runs(cashier, ago, telegram_edited):
    made = await subscribed(cashier)
    await telegram_edited(ago(60), cancelled=True)

    await cashier.pay_all(cashier.paid(made, "charge-2", recurring=True))

    assert await states(cashier) == ["active"]
