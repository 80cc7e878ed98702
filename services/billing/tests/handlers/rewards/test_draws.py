import asyncio
import hashlib
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.domain import draws
from billing.testing import ORBIT
from contracts.billing import CommandRejected

TODAY = date(2026, 11, 20)


async def test_a_lot_is_drawn_once_a_day_and_told_again(giving, postgres_desk):
    await postgres_desk.open(1)

    (first,) = await giving.draw(1)
    again, third = await giving.draw(1, 1)

    assert not first.repeated
    assert [again.repeated, third.repeated] == [True, True]
    assert {(each.prize, each.percent, each.commitment) for each in (first, again, third)} == {
        (first.prize, {"SSR": 50, "SR": 30, "R": 15, "C": 5}[first.prize], first.commitment)
    }
    assert first.valid_until == postgres_desk.now.replace(hour=0) + timedelta(days=1)


async def test_many_taps_at_once_draw_once(crowd, postgres_desk):
    await postgres_desk.open(1)
    await crowd.make_days()

    told = await asyncio.gather(*(crowd.draw(1) for _ in range(32)))

    assert sorted(each.repeated for (each,) in told) == [False] + [True] * 31
    assert len({each.prize for (each,) in told}) == 1


async def test_replicas_make_one_seed_a_day(giving, postgres_desk):
    made = await asyncio.gather(*(giving.make_days() for _ in range(6)))

    assert sum(made) == 2
    assert await giving.make_days() == 0


async def test_the_seed_is_promised_before_and_told_after(giving, postgres_desk):
    await postgres_desk.open(1)
    await giving.make_days()
    before = await giving.shown(1)
    (won,) = await giving.draw(1)
    during = await giving.proof(1, TODAY)
    ahead = await giving.proof(1, TODAY + timedelta(days=1))
    postgres_desk.clock.advance(timedelta(hours=11, minutes=59, seconds=59))
    still = await giving.proof(1, TODAY)
    postgres_desk.clock.advance(timedelta(seconds=1))

    after = await giving.proof(1, TODAY)

    assert (before.draw_day, before.draw_prize, before.draw_commitment) == (
        TODAY,
        "",
        won.commitment,
    )
    assert (during.commitment, during.seed, during.prize) == (won.commitment, "", won.prize)
    assert (ahead.commitment, ahead.seed) == (before.next_commitment, "")
    assert still.seed == ""
    assert hashlib.sha256(bytes.fromhex(after.seed)).hexdigest() == won.commitment
    assert draws.prize_of(draws.number_of(bytes.fromhex(after.seed), 1, TODAY)) == won.prize
    assert (await giving.shown(1)).draw_commitment == before.next_commitment


async def test_a_day_nobody_knows_has_no_proof(giving):
    proof = await giving.proof(1, date(2020, 1, 1))

    assert (proof.commitment, proof.seed, proof.prize) == ("", "", "")


async def test_a_prize_is_used_by_the_next_order_and_shown_as_used(giving, postgres_desk):
    await postgres_desk.open(1, amount=100)
    (won,) = await giving.draw(1)
    price = -(-ORBIT.price_credits * (100 - won.percent) // 100)

    await postgres_desk.placed(1, workflow=ORBIT, price_credits=price)

    shown = await giving.shown(1)
    assert (shown.draw_prize, shown.draw_percent, shown.draw_used) == (
        won.prize,
        won.percent,
        True,
    )
    assert (await postgres_desk.account(1)).held == price


async def test_the_shops_day_decides_and_each_day_has_its_lot(giving, postgres_desk):
    postgres_desk.terms = replace(postgres_desk.terms, zone=ZoneInfo("Asia/Tokyo"))
    await postgres_desk.open(1)
    (first,) = await giving.draw(1)
    postgres_desk.clock.advance(timedelta(hours=3))

    (second,) = await giving.draw(1)

    assert (first.day, second.day, second.repeated) == (TODAY, TODAY + timedelta(days=1), False)
    assert first.valid_until == postgres_desk.now
    assert first.commitment != second.commitment


async def test_a_draw_that_comes_after_midnight_is_of_the_day_the_person_saw(giving, postgres_desk):
    """Its replica was killed and it was handed over once more: the next day's lot stays theirs."""
    tomorrow = TODAY + timedelta(days=1)
    for user in (1, 2):
        await postgres_desk.open(user)
    await giving.make_days()
    seal = (await giving.shown(1)).draw_commitment
    postgres_desk.clock.advance(timedelta(hours=12, seconds=1))

    late, today, again = await giving.draw(1, 2, 1, days=[TODAY, tomorrow, TODAY])

    assert (late.day, late.commitment, late.valid_until) == (
        TODAY,
        seal,
        postgres_desk.now - timedelta(seconds=1),
    )
    assert (today.day, again.day) == (tomorrow, TODAY)
    assert [each.repeated for each in (late, today, again)] == [False, False, True]
    assert (await giving.shown(1)).draw_prize == ""
    (next_day,) = await giving.draw(1, days=[tomorrow])
    assert (next_day.day, next_day.repeated) == (tomorrow, False)


@pytest.mark.parametrize("days", [1, -3], ids=["not begun", "without a seed"])
async def test_a_day_that_promised_nobody_anything_counts_as_today(giving, postgres_desk, days):
    await postgres_desk.open(1)
    await giving.make_days()

    (won,) = await giving.draw(1, days=[TODAY + timedelta(days=days)])

    assert won.day == TODAY


async def test_who_has_no_account_draws_nothing(giving):
    (rejected,) = await giving.draw(9)

    assert isinstance(rejected, CommandRejected)
    assert rejected.code == "no_account"


@pytest.mark.parametrize("user", [1, 9])
async def test_the_screen_before_any_draw(giving, postgres_desk, user):
    await postgres_desk.open(1)

    shown = await giving.shown(user)

    assert (shown.draw_day, shown.draw_prize, shown.draw_used) == (TODAY, "", False)
    assert len(shown.referral_code) == (8 if user == 1 else 0)
