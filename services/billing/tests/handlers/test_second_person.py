"""What one operator may not do alone: grants and reviews above the limit."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from billing.adapters.postgres_rewards import postgres_rewards
from billing.handlers.checked import checked
from billing.handlers.get_held import get_held
from billing.handlers.orders_and_grants import place_and_grant
from billing.handlers.save_promo import save_promos
from billing.handlers.set_tier import set_tiers
from billing.testing import WORKFLOWS
from chassis.clock import new_id
from contracts import billing, operators, rewards

USER = 7
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - this is what is to be refused


@pytest.fixture
def grant(cashier):
    """The route of grants as the service wires it."""
    desk = cashier.desk
    both = checked(
        lambda received, uow: place_and_grant(
            received,
            uow,
            books=desk.books,
            queues=desk.queues,
            catalogue=WORKFLOWS,
            terms=desk.terms,
        ),
        cashier.till,
    )

    async def grant(amount, key="key", **fields):
        values = {"user_id": USER, "reason": "why", "actor": "op", **fields}
        command = billing.GrantCredits(grant_key=key, credits=amount, **values)
        return await cashier.batch(both, command)

    return grant


async def test_a_grant_above_the_limit_is_made_by_two(cashier, grant):
    (alone,) = await grant(1_001)
    (same,) = await grant(1_001, approved_by="op")
    (same_elsewhere,) = await grant(1_001, approved_by="cli:op")
    (unasked,) = await grant(1_001, key="other", approved_by="boss")
    (more,) = await grant(1_002, approved_by="boss")
    (later,) = await grant(1_001, approved_by="boss", expires_at=cashier.now.replace(year=2030))
    assert (await cashier.account()).available == 20

    (done,) = await grant(1_001, approved_by="boss")
    (again,) = await grant(1_001, approved_by="boss")
    (small,) = await grant(1_000, key="small")

    codes = [each.code for each in (alone, same, same_elsewhere, unasked, more, later, again)]
    assert codes == ["needs_second_person"] * 3 + ["invalid"] * 3 + ["already_granted"]
    assert (done.credits, small.credits) == (1_001, 1_000)
    assert (await cashier.account()).available == 2_021
    outcomes = await cashier.rows(
        "SELECT subject_id, outcome FROM operator_actions WHERE action = 'grant_credits' "
        "AND outcome = 'agreed'"
    )
    assert outcomes == [("key", "agreed")] * 2


async def test_a_grant_with_an_end_is_agreed_to_with_that_end(cashier, grant):
    until = cashier.now.replace(year=2030)
    (alone,) = await grant(2_000, expires_at=until)

    (done,) = await grant(2_000, expires_at=until, approved_by="boss")

    assert (alone.code, done.credits) == ("needs_second_person", 2_000)


async def test_held_money_above_the_limit_is_credited_by_two(cashier):
    created = await cashier.invoice()
    await cashier.pay(created, amount_minor=200)

    (alone,) = await cashier.resolve("charge-1", 1_500)
    (unasked,) = await cashier.resolve("charge-1", 1_400, approved_by="boss")
    (other,) = await cashier.resolve("charge-1", 1_500, approved_by="boss", reason="other")
    assert (await cashier.account()).available == 20
    credited, _ = await cashier.resolve("charge-1", 1_500, approved_by="boss")

    assert (alone.code, unasked.code, other.code) == ("needs_second_person", "invalid", "invalid")
    assert (credited.credits, (await cashier.account()).available) == (1_500, 1_520)


# --- moments without a zone --------------------------------------------------------------------


async def test_a_moment_without_a_zone_is_rejected_and_the_rest_of_the_batch_goes_on(
    cashier, grant
):
    (rejected,) = await grant(5, expires_at=NAIVE)
    (granted,) = await grant(5)

    assert (rejected.code, rejected.command_subject) == ("invalid", "billing.cmd.grant_credits.v1")
    assert (rejected.user_id, granted.credits) == (USER, 5)


async def test_no_command_takes_a_moment_without_a_zone(cashier):
    desk, sold = cashier.desk, postgres_rewards()
    tier = checked(lambda got, uow: set_tiers(got, uow, books=desk.books), cashier.till)
    promo = checked(lambda got, uow: save_promos(got, uow, rewards=sold), cashier.till)
    given = billing.SetTier(user_id=USER, tier="vip", reason="r", actor="op", until=NAIVE)
    code = rewards.SavePromo(code="CODE", kind="credits", value=5, actor="op", ends_at=NAIVE)

    answers = [
        *await cashier.batch(tier, given),
        *await cashier.batch(promo, code),
        *await cashier.buy(order_id=new_id(), priced_at=NAIVE),
    ]

    assert [each.code for each in answers] == ["invalid"] * 3
    assert (await cashier.account()).tier == "none"


# --- ways around -------------------------------------------------------------------------------


@pytest.fixture
def hand(cashier):
    """The routes of tiers and promo codes as the service wires them."""
    desk = cashier.desk

    def tiers(received, uow):
        return set_tiers(received, uow, books=desk.books)

    def codes(received, uow):
        return save_promos(received, uow, rewards=postgres_rewards())

    async def tier(tier="vip", until=None, **fields):
        values = {"user_id": USER, "reason": "why", "actor": "op", **fields}
        command = billing.SetTier(tier=tier, until=until, **values)
        return await cashier.batch(checked(tiers, cashier.till), command)

    async def promo(value, uses_max, code="CODE", kind="credits", **fields):
        values = {"actor": "op", **fields}
        command = rewards.SavePromo(code=code, kind=kind, value=value, uses_max=uses_max, **values)
        return await cashier.batch(checked(codes, cashier.till), command)

    return SimpleNamespace(tier=tier, promo=promo)


@pytest.mark.parametrize("same", ["OP", " op ", "cli:Op", "CLI: op", "\top", " ", "cli:"], ids=repr)
async def test_another_spelling_is_no_second_person(cashier, grant, same):
    await grant(1_001)

    (told,) = await grant(1_001, approved_by=same)
    (adjusted,) = await cashier.adjust(1_001, approved_by=same)

    assert (told.code, adjusted.code) == ("needs_second_person",) * 2


async def test_many_small_amounts_are_one_large_one(cashier, grant):
    """By the same person, by either command line, within one day of the shop."""
    given = [await cashier.adjust(1_000, actor=name) for name in ("op", "cli:op", "OP ")]
    given += [await cashier.adjust(-600), await grant(1_000, key="a", actor="cli:op")]
    (too_much,) = await grant(401, key="b")
    (adjusted,) = await cashier.adjust(-401)
    (last,) = await grant(400, key="c")
    (other,) = await cashier.adjust(401, actor="boss")
    await cashier.later(hours=24)
    (next_day,) = await cashier.adjust(1_000)

    kinds = [type(each).__name__ for (each,) in given]
    assert kinds == ["CreditsAdjusted"] * 4 + ["CreditsGranted"]
    assert (too_much.code, adjusted.code) == ("needs_second_person",) * 2
    assert (last.credits, other.credits, next_day.credits) == (400, 401, 1_000)


async def test_many_small_grants_of_one_batch_are_one_large_one(cashier):
    desk = cashier.desk
    both = checked(
        lambda received, uow: place_and_grant(
            received,
            uow,
            books=desk.books,
            queues=desk.queues,
            catalogue=WORKFLOWS,
            terms=desk.terms,
        ),
        cashier.till,
    )
    commands = [
        billing.GrantCredits(
            grant_key=f"key-{number}", user_id=USER, credits=900, reason="why", actor="op"
        )
        for number in range(7)
    ]

    told = await cashier.batch(both, *commands)

    codes = [getattr(each, "code", "granted") for each in told]
    assert sorted(codes) == ["granted"] * 5 + ["needs_second_person"] * 2


async def test_many_at_once_do_not_get_past_the_day_together(cashier):
    await cashier.desk.open(*range(100, 110))

    told = await asyncio.gather(*(cashier.adjust(900, user_id=100 + n) for n in range(10)))

    given = [each for (each,) in told if isinstance(each, operators.CreditsAdjusted)]
    assert len(given) == 5


@pytest.mark.parametrize(
    ("value", "uses_max", "fields"),
    [
        (1, 0, {}),
        (11, 100, {}),
        (1_001, 1, {}),
        (1, 0, {"kind": "tier", "tier": "vip"}),
        (30, 4, {"kind": "tier", "tier": "vip"}),
        (34, 1, {"kind": "tier", "tier": "black_gold"}),
    ],
)
async def test_a_promo_code_that_gives_much_is_made_by_two(cashier, hand, value, uses_max, fields):
    (alone,) = await hand.promo(value, uses_max, code="code", **fields)
    assert await cashier.rows("SELECT code FROM promos") == []
    (saved,) = await hand.promo(value, uses_max, code="code", approved_by="boss", **fields)

    assert (alone.code, saved.code) == ("needs_second_person", "CODE")
    actions = await cashier.rows("SELECT subject_id, outcome FROM operator_actions ORDER BY number")
    assert actions[:2] == [("CODE", "needs_second_person"), ("CODE", "agreed")]


async def test_a_promo_code_that_gives_little_is_made_by_one(hand):
    told = [
        *await hand.promo(10, 100, code="CREDITS"),
        *await hand.promo(30, 3, code="DAYS", kind="tier", tier="vip"),
        *await hand.promo(50, 0, code="PRICES", kind="discount"),
    ]

    assert [each.code for each in told] == ["CREDITS", "DAYS", "PRICES"]


async def test_a_tier_for_long_is_given_by_two(cashier, hand):
    """VIP costs 300 credits for 30 days, Black Gold 900."""

    def after(days):
        return cashier.now + timedelta(days=days)

    (for_good,) = await hand.tier()
    (too_long,) = await hand.tier(until=after(101))
    (dear,) = await hand.tier("black_gold", until=after(34))
    assert (await cashier.account()).tier == "none"
    (short,) = await hand.tier(until=after(30))
    (agreed,) = await hand.tier(approved_by="boss")
    (taken,) = await hand.tier("none")

    refused = [for_good.code, too_long.code, dear.code]
    assert refused == ["needs_second_person"] * 3
    assert [short.tier, agreed.tier, taken.tier] == ["vip", "vip", "none"]
    assert agreed.until is None


# --- held money --------------------------------------------------------------------------------


async def test_the_queue_of_held_money_lists_the_oldest_first(cashier):
    for number in (1, 2, 3):
        created = await cashier.invoice()
        at = cashier.now - timedelta(minutes=number)
        await cashier.pay(created, f"charge-{number}", amount_minor=200, paid_at=at)
    (unsaid,) = await cashier.resolve("charge-2", 0, reason=" ")
    await cashier.resolve("charge-2", 0)

    all_held = await get_held(operators.GetHeld(), seen=cashier.seen)
    first = await get_held(operators.GetHeld(limit=1), seen=cashier.seen)

    assert unsaid.code == "invalid"
    assert [each.charge_id for each in all_held.charges] == ["charge-3", "charge-1"]
    assert {(each.code, each.user_id) for each in all_held.charges} == {("wrong_amount", USER)}
    assert (len(first.charges), first.cut, all_held.cut) == (1, True, False)


async def test_nothing_is_done_by_hand_without_saying_why(cashier):
    await cashier.bought()

    told = [
        *await cashier.refund(reason=" "),
        *await cashier.adjust(5, reason=""),
        *await cashier.refund(actor=""),
    ]

    assert [each.code for each in told] == ["invalid"] * 3
    assert (await cashier.charge()).state == "paid"


async def test_stars_are_given_back_whole(cashier):
    await cashier.bought()

    (part,) = await cashier.refund(amount_minor=100)
    (whole,) = await cashier.refund(amount_minor=275)

    assert (part.code, whole.charge_id) == ("unsupported", "charge-1")
