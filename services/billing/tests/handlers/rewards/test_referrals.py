import asyncio
from datetime import timedelta

import pytest

from contracts.billing import AccountOpened
from contracts.rewards import ReferralEarned, ReferralJoined

HOLD = timedelta(days=1)


@pytest.fixture
async def link(giving, postgres_desk):
    await postgres_desk.open(1)
    return f"ref_{(await giving.shown(1)).referral_code}"


async def test_a_code_is_made_once_and_stays(giving, postgres_desk):
    await postgres_desk.open(1, 2)

    shown = await asyncio.gather(*(giving.shown(1) for _ in range(6)))

    codes = {each.referral_code for each in shown}
    assert len(codes) == 1
    assert codes != {(await giving.shown(2)).referral_code}


async def test_a_newcomer_by_a_link_has_a_bonus_and_the_referrer_is_told(
    giving, postgres_desk, link
):
    opened, joined = await giving.arrive(2, link.lower())

    account = await postgres_desk.account(2)
    assert isinstance(opened, AccountOpened)
    assert isinstance(joined, ReferralJoined)
    assert (joined.user_id, joined.newcomer_id, joined.newcomer_credits) == (1, 2, 10)
    assert (account.available, account.lots[2].kind) == (30, "bonus")
    assert (await giving.shown(1)).invited == 1


async def test_only_new_accounts_join_and_once(giving, postgres_desk, link):
    await postgres_desk.open(3)
    await giving.arrive(2, link)

    assert await giving.arrive(2, link) == []
    assert await giving.arrive(3, link) == []
    assert await giving.arrive(1, link) == []
    assert (await giving.shown(1)).invited == 1


@pytest.mark.parametrize("code", ["ref_AAAAAAAA", "ref_", "promo_AUTUMN", "ref_' OR 1"])
async def test_a_link_of_nobody_is_only_a_link(giving, postgres_desk, code):
    (opened,) = await giving.arrive(2, code)

    assert isinstance(opened, AccountOpened)
    assert (await postgres_desk.account(2)).available == 20


async def test_one_newcomer_on_many_connections_joins_once(giving, postgres_desk, link):
    told = await asyncio.gather(*(giving.arrive(2, link) for _ in range(6)))

    assert sum(len(each) for each in told) == 2
    assert (await postgres_desk.account(2)).available == 30


async def test_a_part_of_the_first_payments_is_credited_after_the_hold(
    giving, crowd, postgres_desk, link
):
    await giving.arrive(2, link)
    for number in range(5):
        await giving.pay(2, 105, charge=f"c{number}")
    before = await giving.shown(1)
    early = await giving.credit_referrals()
    postgres_desk.clock.advance(HOLD)

    told = await asyncio.gather(*(crowd.credit_referrals() for _ in range(32)))

    after = await giving.shown(1)
    events = [each for batch in told for each in batch]
    assert (before.pending_credits, before.earned_credits, early) == (30, 0, [])
    assert all(isinstance(each, ReferralEarned) for each in events)
    assert [(each.user_id, each.newcomer_id, each.credits) for each in events] == [(1, 2, 10)] * 3
    assert (after.pending_credits, after.earned_credits) == (0, 30)
    account = await postgres_desk.account(1)
    assert [lot.kind for lot in account.lots.values()].count("bonus") == 3


async def test_of_payments_credited_together_only_the_first_ones_earn(giving, postgres_desk, link):
    await giving.arrive(2, link)
    await giving.arrive(3, link)
    await giving.pay(2, 100, charge="before")

    together = [(2, "a"), (3, "b"), (2, "c"), (2, "late"), (1, "own"), (2, "later")]
    await giving.pay_all(*((user, 100, charge) for user, charge in together))

    postgres_desk.clock.advance(HOLD)
    earned = await giving.credit_referrals()
    assert sorted(each.newcomer_id for each in earned) == [2, 2, 2, 3]
    assert (await giving.shown(1)).earned_credits == 40


async def test_a_payment_refunded_within_the_hold_earns_nothing(giving, postgres_desk, link):
    await giving.arrive(2, link)
    await giving.pay(2, 100, charge="kept")
    await giving.pay(2, 100, charge="returned")
    await giving.unpay("returned")
    await giving.unpay("returned")
    await giving.unpay("never came")
    postgres_desk.clock.advance(HOLD)

    (earned,) = await giving.credit_referrals()
    await giving.unpay("kept")

    assert earned.credits == 10
    assert (await giving.shown(1)).earned_credits == 10


async def test_a_refund_and_the_sweep_at_once_settle_a_reward_once(giving, postgres_desk, link):
    await giving.arrive(2, link)
    for number in range(3):
        await giving.pay(2, 100, charge=f"c{number}")
    postgres_desk.clock.advance(HOLD)

    told = await asyncio.gather(
        giving.credit_referrals(), *(giving.unpay(f"c{number}") for number in range(3))
    )

    assert (await giving.shown(1)).earned_credits == 10 * len(told[0])


async def test_the_cap_is_exact_over_many_newcomers(giving, postgres_desk, link):
    giving.change("referral", cap_credits=25)
    for newcomer in range(2, 6):
        await giving.arrive(newcomer, link)
        await giving.pay(newcomer, 100, charge=f"c{newcomer}")
    postgres_desk.clock.advance(HOLD)

    told = await giving.credit_referrals()

    assert sorted(each.credits for each in told) == [5, 10, 10]
    assert (await giving.shown(1)).earned_credits == 25
    assert await giving.credit_referrals() == []


async def test_payments_too_small_or_of_nobodys_newcomer_earn_nothing(giving, postgres_desk, link):
    await giving.arrive(2, link)
    await postgres_desk.open(3)
    await giving.pay(2, 9, charge="small")
    await giving.pay(2, 0, charge="plan")
    await giving.pay(3, 100, charge="stranger")
    postgres_desk.clock.advance(HOLD)

    assert await giving.credit_referrals() == []
