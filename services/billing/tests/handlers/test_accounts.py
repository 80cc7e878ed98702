from datetime import timedelta

import pytest

from billing.handlers.expire_lots import expire_lots
from billing.handlers.open_account import open_account
from billing.handlers.record_job_failed import record_jobs_failed
from billing.handlers.renew_trials import renew_trials
from billing.handlers.set_tier import set_tiers
from contracts import billing, generator


async def renew(desk):
    async with desk.begin() as uow:
        tick = billing.RenewTrials(due_at=desk.now)
        await renew_trials(tick, uow, books=desk.books, terms=desk.terms)
        return len(uow.rows)


async def test_a_new_account_has_the_trial_once(desk):
    told = []
    for _ in range(2):
        async with desk.begin() as uow:
            command = billing.OpenAccount(user_id=1, deep_link="ref_abc")
            await open_account(command, uow, books=desk.books, terms=desk.terms)
            told.append(len(uow.rows))

    account = await desk.account(1)
    assert told == [1, 0]
    assert (account.available, account.lots[1].kind) == (20, "trial")
    assert account.trial_renews_at == desk.now + timedelta(days=2)


async def test_trial_credits_are_reset_not_added(desk):
    await desk.open(1, 2)
    order = await desk.placed(1)
    await desk.succeed(order)
    desk.clock.advance(timedelta(days=2))

    renewed = await renew(desk)

    assert renewed == 2
    assert [(await desk.account(user)).available for user in (1, 2)] == [20, 20]
    assert await renew(desk) == 0


async def test_an_untouched_trial_is_renewed_without_a_line_in_the_history(desk):
    await desk.open(1)
    desk.clock.advance(timedelta(days=2))
    await desk.sweep(expire_lots)

    renewed = await renew(desk)

    account = await desk.account(1)
    assert (renewed, account.available, account.transfers) == (1, 20, 1)


async def test_an_expired_trial_is_renewed_too(desk):
    await desk.open(1)
    desk.clock.advance(timedelta(days=2, hours=1))
    await desk.sweep(expire_lots)
    gone = (await desk.account(1)).available

    await renew(desk)

    assert (gone, (await desk.account(1)).available) == (0, 20)


async def test_a_trial_waits_for_a_pending_order_it_pays(desk):
    await desk.open(1)
    desk.clock.advance(timedelta(days=1, hours=23, minutes=50))
    order = await desk.placed(1)
    desk.clock.advance(timedelta(minutes=10))
    waiting = await renew(desk)
    event = generator.JobFailed(order_id=order.order_id, user_id=1, failure_class="timeout")
    await desk.batch(record_jobs_failed, event, books=desk.books)

    renewed = await renew(desk)

    assert (waiting, renewed) == (0, 1)
    assert (await desk.account(1)).available == 20


async def test_the_first_payment_ends_the_trials(desk):
    await desk.open(1)
    await desk.grant(1, 100, lot="paid")
    desk.clock.advance(timedelta(days=2))

    assert await renew(desk) == 0


async def test_a_grant_is_made_once_per_key(desk):
    await desk.open(1)
    (granted,) = await desk.grant(1, 30, lot="bonus", grant_key="why")
    (again,) = await desk.grant(1, 30, lot="bonus", grant_key="why")
    (other,) = await desk.grant(1, 31, lot="bonus", grant_key="why")

    assert (granted.credits, granted.grant_key) == (30, "why")
    assert [again.code, other.code] == ["already_granted", "same_id_other_body"]
    assert (await desk.account(1)).available == 50


@pytest.mark.parametrize(
    ("amount", "fields", "code"),
    [
        (0, {}, "invalid"),
        (-5, {}, "invalid"),
        (2_000_000_000, {}, "invalid"),
        (5, {"lot": "trial"}, "invalid"),
        (5, {"lot": "gold"}, "invalid"),
        (5, {"grant_key": ""}, "invalid"),
    ],
)
async def test_a_senseless_grant_is_rejected(desk, amount, fields, code):
    await desk.open(1)

    (rejected,) = await desk.grant(1, amount, **fields)

    assert rejected.code == code
    assert (await desk.account(1)).available == 20


async def test_nobody_unknown_is_granted_anything(desk):
    (rejected,) = await desk.grant(5, 10)

    assert rejected.code == "no_account"


async def test_bonus_credits_expire_on_their_day(desk):
    await desk.open(1)
    await desk.grant(1, 30, lot="bonus", expires_at=desk.now + timedelta(hours=1))
    desk.clock.advance(timedelta(hours=1))
    await desk.sweep(expire_lots)
    early = (await desk.account(1)).lots[2].state
    desk.clock.advance(timedelta(hours=1))

    await desk.sweep(expire_lots)

    account = await desk.account(1)
    assert (early, account.available, account.lots[2].state) == ("open", 20, "expired")


async def test_spent_lots_are_closed_too_and_do_not_stop_the_sweep(desk):
    await desk.open(1)
    order = await desk.placed(1)
    await desk.succeed(order, await desk.placed(1))
    desk.clock.advance(timedelta(days=2, hours=1))
    await desk.sweep(expire_lots)

    async with desk.begin() as uow:
        left = await desk.books.accounts.expired_lots(uow.connection, desk.now, 10)

    assert left == []


async def test_a_refund_into_an_expired_lot_reopens_it_for_a_day(desk):
    await desk.open(1)
    desk.clock.advance(timedelta(days=1, hours=23, minutes=50))
    order = await desk.placed(1)
    desk.clock.advance(timedelta(minutes=20))
    event = generator.JobFailed(order_id=order.order_id, user_id=1, failure_class="timeout")

    await desk.batch(record_jobs_failed, event, books=desk.books)

    account = await desk.account(1)
    assert (account.available, account.lots[1].state) == (10, "open")
    assert account.lots[1].expires_at == desk.now + timedelta(hours=24)


async def test_a_tier_carries_its_version_and_end(desk):
    await desk.open(1)
    until = desk.now + timedelta(days=1)
    give = billing.SetTier(user_id=1, tier="vip", until=until, reason="why", actor="op")
    take = billing.SetTier(user_id=1, tier="none", reason="why", actor="op")

    given, taken = await desk.batch(set_tiers, give, take, books=desk.books)

    account = await desk.account(1)
    assert (given.tier, given.until, taken.tier) == ("vip", until, "none")
    assert (account.tier, account.tier_version) == ("none", 2)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tier": "diamond"}, "invalid"),
        ({"user_id": 9}, "no_account"),
        ({"until": None, "tier": ""}, "invalid"),
    ],
)
async def test_a_senseless_tier_is_rejected(desk, fields, code):
    await desk.open(1)
    values = {"user_id": 1, "tier": "vip", "reason": "why", "actor": "op", **fields}

    (rejected,) = await desk.batch(set_tiers, billing.SetTier(**values), books=desk.books)

    assert rejected.code == code
