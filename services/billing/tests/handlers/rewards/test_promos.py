import asyncio
from datetime import timedelta

import pytest

from billing.handlers.save_promo import save_promos
from billing.handlers.set_tier import set_tiers
from chassis.clock import id_floor
from contracts import billing
from contracts.rewards import PromoRedeemed, PromoRefused, PromoSaved, SavePromo


async def test_credits_are_granted_once_per_person_in_any_case(giving, postgres_desk):
    await postgres_desk.open(1, 2)
    await giving.save_promo(lot_days=7)

    first, again, other = await giving.redeem(1, 1, 2, code=" Autumn ")
    (later,) = await giving.redeem(1)

    assert (first.code, first.value, first.available_credits) == ("AUTUMN", 5, 25)
    assert [again.reason, later.reason] == ["promo_used"] * 2
    assert isinstance(other, PromoRedeemed)
    lot = (await postgres_desk.account(1)).lots[2]
    assert (lot.kind, lot.expires_at) == ("bonus", postgres_desk.now + timedelta(days=7))


async def test_a_limit_holds_under_a_race(crowd, postgres_desk):
    people = list(range(1, 33))
    await postgres_desk.open(*people)
    await crowd.save_promo(uses_max=5)

    told = await asyncio.gather(*(crowd.redeem(user) for user in people))

    redeemed = [each for (each,) in told if isinstance(each, PromoRedeemed)]
    refused = [each.reason for (each,) in told if isinstance(each, PromoRefused)]
    assert (len(redeemed), refused) == (5, ["promo_used_up"] * 27)
    balances = [(await postgres_desk.account(user)).available for user in people]
    assert sorted(balances) == [20] * 27 + [25] * 5


async def test_a_limit_holds_within_a_batch(giving, postgres_desk):
    await postgres_desk.open(1, 2, 3)
    await giving.save_promo(uses_max=2)

    *redeemed, refused = await giving.redeem(1, 2, 3)

    assert [each.user_id for each in redeemed] == [1, 2]
    assert (refused.user_id, refused.reason) == (3, "promo_used_up")


async def test_one_person_on_many_connections_redeems_once(giving, postgres_desk):
    await postgres_desk.open(1)
    await giving.save_promo()

    told = await asyncio.gather(*(giving.redeem(1) for _ in range(12)))

    assert sum(isinstance(each, PromoRedeemed) for (each,) in told) == 1
    assert (await postgres_desk.account(1)).available == 25


async def test_batches_that_redeem_two_codes_crosswise_do_not_deadlock(giving, postgres_desk):
    await postgres_desk.open(1, 2, 3, 4)
    await giving.save_promo(code="AAA")
    await giving.save_promo(code="BBB")

    told = await asyncio.gather(
        giving.redeem_pairs((1, "AAA"), (2, "BBB")), giving.redeem_pairs((3, "BBB"), (4, "AAA"))
    )

    assert all(isinstance(each, PromoRedeemed) for batch in told for each in batch)


async def test_a_discount_waits_for_the_next_order(giving, postgres_desk):
    await postgres_desk.open(1)
    await giving.save_promo(kind="discount", value=30)

    await giving.redeem(1)

    await postgres_desk.placed(1, price_credits=7)
    assert (await postgres_desk.account(1)).held == 7


async def test_a_tier_is_extended_and_told(giving, postgres_desk):
    await postgres_desk.open(1)
    await giving.save_promo(code="VIP7", kind="tier", value=7, tier="vip")
    await giving.save_promo(code="VIP3", kind="tier", value=3, tier="vip")

    given, redeemed = await giving.redeem(1, code="vip7")
    more, _ = await giving.redeem(1, code="vip3")

    assert (given.tier, given.until) == ("vip", postgres_desk.now + timedelta(days=7))
    assert more.until == postgres_desk.now + timedelta(days=10)
    assert (redeemed.kind, redeemed.tier, redeemed.value) == ("tier", "vip", 7)
    assert (await postgres_desk.account(1)).tier_version == 2


async def test_a_lower_tier_is_refused_and_the_code_stays_unused(giving, postgres_desk):
    await postgres_desk.open(1)
    until = postgres_desk.now + timedelta(days=1)
    gold = billing.SetTier(user_id=1, tier="black_gold", until=until, reason="x", actor="x")
    await postgres_desk.batch(set_tiers, gold, books=postgres_desk.books)
    await giving.save_promo(kind="tier", value=7, tier="vip", uses_max=1)

    (refused,) = await giving.redeem(1)
    postgres_desk.clock.advance(timedelta(days=1))
    told = await giving.redeem(1)

    assert refused.reason == "higher_tier_active"
    assert isinstance(told[-1], PromoRedeemed)


async def test_newcomers_only_means_before_the_first_payment(giving, postgres_desk):
    await postgres_desk.open(1, 2, 3)
    await giving.save_promo(newcomers_only=True)
    async with postgres_desk.database.read() as connection:
        for user, state in ((1, "refunded"), (2, "review")):
            await connection.execute(
                "INSERT INTO charges (provider, charge_id, payment_id, user_id, product_id, "
                "amount_minor, refunded_minor, currency, credits, state, version, paid_at) VALUES "
                "('stars', $1, $2, $3, 'pack', 1, ($4 = 'refunded')::int, 'XTR', 0, $4, 1, now())",
                f"charge {user}",
                None,
                user,
                state,
            )

    paid, reviewed, fresh = await giving.redeem(1, 2, 3)

    assert paid.reason == "promo_newcomers_only"
    assert isinstance(reviewed, PromoRedeemed)
    assert isinstance(fresh, PromoRedeemed)


async def test_who_guesses_must_wait_even_with_a_right_code(giving, postgres_desk):
    await postgres_desk.open(1, 2)
    await giving.save_promo()
    for guess in range(10):
        (refused,) = await giving.redeem(1, code=f"guess{guess}")
        assert refused.reason == "promo_unknown"

    (too_many,) = await giving.redeem(1)
    (other,) = await giving.redeem(2)
    postgres_desk.clock.advance(timedelta(hours=1))
    (later,) = await giving.redeem(1)

    assert too_many.reason == "promo_too_many"
    assert isinstance(other, PromoRedeemed)
    assert isinstance(later, PromoRedeemed)


async def test_who_has_no_account_redeems_nothing(giving):
    await giving.save_promo()

    (refused,) = await giving.redeem(9)

    assert refused.reason == "no_account"


async def test_a_saved_code_changes_terms_and_keeps_its_count(giving, postgres_desk):
    await postgres_desk.open(1, 2)
    await giving.save_promo(uses_max=1)
    await giving.redeem(1)
    (rejected,) = await giving.save_promo(value=0)
    (saved,) = await giving.save_promo(uses_max=2, value=9)
    assert (saved.code, saved.value, saved.used, saved.uses_max) == ("AUTUMN", 9, 1, 2)

    (redeemed,) = await giving.redeem(2)

    assert (rejected.code, rejected.command_subject) == ("invalid", "billing.cmd.save_promo.v1")
    assert redeemed.value == 9
    async with postgres_desk.database.read() as connection:
        actions = await connection.fetch(
            "SELECT actor, subject_id, detail->>'value' AS value FROM operator_actions "
            "ORDER BY number"
        )
    assert [tuple(row) for row in actions] == [("op", "AUTUMN", "5"), ("op", "AUTUMN", "9")]


@pytest.mark.parametrize("code", ["", "\n", "x" * 5_000, "' OR 1=1 --", "\u200bAUTUMN"])
async def test_what_is_no_code_is_unknown(giving, postgres_desk, code):
    await postgres_desk.open(1)
    await giving.save_promo()

    (refused,) = await giving.redeem(1, code=code)

    assert refused.reason == "promo_unknown"
    assert len(refused.code) <= 40


async def test_a_code_stays_as_it_was_saved_last(giving, postgres_desk):
    await postgres_desk.open(1)

    async def save(value, seconds_ago):
        command = SavePromo(code="Autumn", kind="credits", value=value, actor="op")
        said = id_floor(postgres_desk.now - timedelta(seconds=seconds_ago))
        told = await postgres_desk.batch(save_promos, command, said=said, rewards=giving.rewards)
        return [type(each) for each in told]

    assert await save(7, seconds_ago=10) == [PromoSaved]
    assert await save(9, seconds_ago=20) == [billing.CommandRejected]

    (redeemed,) = await giving.redeem(1)
    assert redeemed.value == 7
