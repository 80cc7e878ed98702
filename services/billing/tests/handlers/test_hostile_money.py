"""Somebody wants credits for nothing, or to stop the till: neither happens, nor does harm."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest

from billing.adapters.audit import audit
from billing.adapters.postgres_rewards import postgres_rewards
from billing.handlers import refund_charge, return_gifts
from billing.handlers.make_gift import make_gifts
from billing.handlers.open_account import open_account
from billing.handlers.open_gift import open_gifts
from billing.handlers.redeem_promo import redeem_promos
from billing.handlers.save_promo import save_promos
from billing.ports.payments import Capabilities
from chassis.clock import new_id
from chassis.effects import Effect
from contracts import billing, rewards
from contracts.gateway import StarsTransaction
from contracts.money import CREDITS_MAX

USER, OTHER = 7, 8
FOR_GOOD = datetime(9999, 12, 31, tzinfo=UTC)
NUL = "\x00"


def kinds(events):
    return [type(each).__name__ for each in events]


@pytest.fixture
async def audited(cashier):
    """The books have to be in order when a test is over."""
    yield cashier
    async with cashier.desk.database.read() as connection:
        report = await audit(connection)
    assert [check.name for check in report.checks if check.broken_by] == []


async def give_for_good(cashier, until=FOR_GOOD, tier="vip"):
    async with cashier.desk.begin() as uow:
        await uow.connection.execute(
            "UPDATE accounts SET tier = $2, tier_until = $3 WHERE user_id = $1",
            USER,
            tier,
            until,
        )


async def promo(cashier, *, code, handler=redeem_promos, user_id=USER):
    return await cashier.desk.batch(
        handler,
        rewards.RedeemPromo(user_id=user_id, code=code),
        books=cashier.desk.books,
        rewards=postgres_rewards(),
        terms=cashier.desk.terms,
    )


async def gift(cashier, amount):
    (made,) = await cashier.desk.batch(
        make_gifts,
        rewards.MakeGift(gift_id=new_id(), user_id=USER, credits=amount),
        books=cashier.desk.books,
        rewards=postgres_rewards(),
        terms=cashier.desk.terms,
    )
    return made


async def open_it(cashier, code, user_id=OTHER):
    (told,) = await cashier.desk.batch(
        open_gifts,
        rewards.OpenGift(user_id=user_id, code=code),
        books=cashier.desk.books,
        rewards=postgres_rewards(),
    )
    return told


def withdrawing(cashier):
    """The till as the service wires it: gifts made of what is refunded come back first."""
    desk = cashier.desk
    hook = partial(return_gifts.refund_begins, books=desk.books, store=postgres_rewards().gifts)
    cashier.till = replace(cashier.till, before_taking_back=(hook,))


# --- money that is held ------------------------------------------------------------------------


async def test_money_that_could_not_be_credited_leaves_nothing_behind(audited):
    """The paid credits still fit into the account, their bonus does not."""
    await audited.desk.grant(USER, CREDITS_MAX - 20 - 310, lot="bonus")
    created = await audited.invoice()

    (held,) = await audited.pay(created)
    charge = await audited.charge()

    assert (held.code, charge.state) == ("invalid", "review")
    assert (charge.credits, charge.bonus_credits, charge.lot, charge.bonus_lot) == (
        0,
        0,
        None,
        None,
    )


async def test_a_refused_refund_of_what_was_never_credited_is_no_credit(audited):
    await audited.desk.grant(USER, CREDITS_MAX - 20 - 310, lot="bonus")
    await audited.pay(await audited.invoice())
    await audited.refund()

    await audited.refunded(code="CHARGE_NOT_FOUND")

    assert (await audited.charge()).state == "review"


async def test_held_money_whose_refund_was_told_before_cannot_be_credited(audited):
    """The news of the refund overtook that of a payment that does not match."""
    created = await audited.invoice()
    await audited.refunded()

    await audited.pay(created, amount_minor=1)
    (rejected,) = await audited.resolve("charge-1", 300)

    assert (await audited.charge()).state == "charged_back"
    assert rejected.code == "already_finished"
    assert (await audited.account()).available == 20


# --- gift + refund -----------------------------------------------------------------------------


async def test_a_gift_that_waits_does_not_save_refunded_credits(audited):
    """Pay, give it to a friend's link, have the money back, open the link."""
    withdrawing(audited)
    await audited.desk.open(OTHER)
    await audited.bought()
    made = await gift(audited, 300)

    events = await audited.refund()
    (told,) = await audited.refunded()
    opened = await open_it(audited, made.code)

    assert kinds(events) == ["GiftReturned", "RefundStars"]
    assert (events[0].gift_id, events[0].withdrawn) == (made.gift_id, True)
    assert (told.taken_credits, told.debt_credits) == (330, 0)
    assert opened.reason == "gift_over"
    mine, theirs = await audited.account(), await audited.desk.account(OTHER)
    assert (mine.available, mine.debt, theirs.available) == (20, 0, 20)


async def test_a_gift_of_other_money_stays_when_a_payment_is_refunded(audited):
    withdrawing(audited)
    await audited.desk.open(OTHER)
    await audited.bought("credits_100", 100)
    made = await gift(audited, 100)
    await audited.bought(charge_id="charge-2")

    await audited.refund("charge-2")
    opened = await open_it(audited, made.code)

    assert (opened.credits, (await audited.desk.account(OTHER)).available) == (100, 120)


async def test_a_gift_that_was_opened_leaves_its_giver_in_debt(audited):
    withdrawing(audited)
    await audited.desk.open(OTHER)
    await audited.bought()
    await open_it(audited, (await gift(audited, 300)).code)

    await audited.refund()

    assert (await audited.account()).debt == 280


# --- what must not stop the till ---------------------------------------------------------------


async def test_days_beyond_the_calendar_are_held_and_not_parked(audited):
    created = await audited.invoice("vip_30", 250)
    await give_for_good(audited)

    (held,) = await audited.pay(created, first_recurring=True)
    (refused,) = await audited.buy()

    assert (held.code, (await audited.charge()).state) == ("tier_without_end", "review")
    assert refused.code in ("tier_without_end", "insufficient_credits")


async def test_a_promo_for_days_beyond_the_calendar_is_refused(audited):
    saved = rewards.SavePromo(code="DAYS", kind="tier", value=30, tier="vip", actor="op")
    await audited.desk.batch(save_promos, saved, rewards=postgres_rewards())
    await give_for_good(audited)

    (refused,) = await promo(audited, code="days")

    assert refused.reason == "tier_without_end"


async def test_an_invoice_asked_for_again_after_stars_were_switched_off(audited):
    payment_id = new_id()
    await audited.create(payment_id=payment_id)
    audited.till = replace(audited.till, on={})

    (failed,) = await audited.create(payment_id=payment_id)

    assert failed.code == "provider_off"


@pytest.mark.parametrize(
    "strange",
    [
        {"charge_id": ""},
        {"charge_id": "c" * 201},
        {"charge_id": f"c{NUL}"},
        {"amount_minor": 1 << 63},
        {"amount_minor": -(1 << 63) - 1, "invoice_payload": ""},
        {"user_id": 1 << 63},
        {"user_id": -7},
        {"user_id": 0},
        {"invoice_payload": f"1.\ud7ff{NUL}.é"},
    ],
)
async def test_a_strange_line_of_a_statement_does_not_hide_the_others(audited, strange):
    created = await audited.invoice()
    good = {
        "charge_id": "charge-2",
        "amount_minor": created.amount_minor,
        "at": audited.now,
        "user_id": USER,
        "invoice_payload": created.invoice_payload,
    }
    line = StarsTransaction(**{**good, "charge_id": "odd", **strange})

    events = await audited.statement(line, StarsTransaction(**good))

    assert "PaymentCredited" in kinds(events)


@pytest.mark.parametrize(
    "code", [f"AB{NUL}C", "", "x" * 5_000, "ＡＵＴＵＭＮ", "ﬃ", "../..", "'; --"]
)
async def test_a_code_that_can_be_none_is_unknown(audited, code):
    (refused,) = await promo(audited, code=code)
    opened = await open_it(audited, code, user_id=USER)

    assert (refused.reason, opened.reason) == ("promo_unknown", "gift_unknown")


@pytest.mark.parametrize("key", ["newcomer:9", "referral:stars:c1", "promo:AUTUMN:9", "credit:x:1"])
async def test_keys_that_the_shop_makes_itself_are_nobodys_to_give(audited, key):
    """One of them taken would stop a newcomer's account, a promo code or a sweep for ever."""
    (rejected,) = await audited.desk.grant(USER, 5, grant_key=key)

    assert rejected.code == "invalid"
    async with audited.desk.begin() as uow:
        command = billing.OpenAccount(user_id=9)
        await open_account(command, uow, books=audited.desk.books, terms=audited.desk.terms)


# --- a refund that is refused ------------------------------------------------------------------


async def test_a_refused_refund_ends_though_the_tier_was_given_for_good_meanwhile(audited):
    """There are no days to give back to: the status lasts for ever already."""
    created = await audited.invoice("vip_30", 250)
    await audited.pay(created, first_recurring=True)
    await audited.refund()
    await give_for_good(audited)

    events = await audited.refunded(code="CHARGE_NOT_FOUND")

    assert "RefundRefused" in kinds(events)
    assert (await audited.charge()).state == "paid"


async def test_a_refused_refund_does_not_shorten_a_tier_without_end(audited):
    created = await audited.invoice("vip_30", 250)
    await audited.pay(created, first_recurring=True)
    await audited.refund()
    await give_for_good(audited, until=None)

    await audited.refunded(code="CHARGE_NOT_FOUND")

    assert (await audited.account()).tier_until is None
    assert (await audited.charge()).state == "paid"


async def given_up(cashier):
    """The provider never said whether the money went back."""
    kind = refund_charge.effect(cashier.till, {}, cashier.desk.database)
    body = msgspec.json.encode(refund_charge.Asked("stars", "charge-1"))
    effect = Effect(key="k", kind=kind.name, body=body, traceparent="", attempt=kind.attempts_max)
    async with cashier.desk.begin() as uow:
        await kind.gave_up(effect, uow)
    return [row.subject for row in uow.rows]


async def test_a_refund_nobody_knows_the_end_of_gives_no_credits_back(audited):
    """The transfer may have arrived: money and credits would both be the payer's."""
    await audited.bought()
    audited.till = replace(audited.till, on={"stars": Capabilities()})
    await audited.refund()

    told = await given_up(audited)

    assert told == ["billing.evt.provider_alarmed.v1"]
    assert (await audited.charge()).state == "refunding"
    assert (await audited.account()).available == 20


async def test_a_refund_nobody_knows_the_end_of_can_be_asked_for_again(audited):
    await audited.bought()
    audited.till = replace(audited.till, on={"stars": Capabilities()})
    keys = []
    for ends in (False, True, False):
        await audited.refund()
        if ends:
            await given_up(audited)
        rows = await audited.rows("SELECT key FROM effects ORDER BY key")
        keys.append([key for (key,) in rows])

    # Asked again while it is under way it is the same refund; asked after its end, a new call.
    assert [len(each) for each in keys] == [1, 1, 2]


async def test_money_that_is_held_does_not_stand_in_the_way_of_the_right_one(audited):
    """A stranger's charge for somebody's invoice credited nothing: the owner's own is the first."""
    created = await audited.invoice()
    await audited.desk.open(OTHER)
    (strange,) = await audited.pay(created, "charge-0", user_id=OTHER)

    (credited,) = await audited.pay(created)
    (twice,) = await audited.pay(created, "charge-2")

    assert (strange.code, twice.code) == ("not_yours", "already_paid")
    assert (credited.credits, (await audited.account()).available) == (330, 350)


async def test_a_refunded_subscription_does_not_keep_its_payer_from_subscribing_again(audited):
    created = await audited.invoice("vip_30", 250)
    await audited.pay(created, first_recurring=True)
    await audited.refund()
    await audited.refunded()
    (still,) = await audited.create("vip_30", 250)

    await audited.edited("charge-1", cancelled=True)
    again = await audited.invoice("vip_30", 250)

    assert still.code == "already_subscribed"
    assert await audited.pre_checkout(again) == ""
