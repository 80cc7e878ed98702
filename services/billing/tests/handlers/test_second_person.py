"""What one operator may not do alone: grants and reviews above the limit."""

from datetime import datetime

import pytest

from billing.adapters.postgres_rewards import postgres_rewards
from billing.handlers.checked import checked
from billing.handlers.orders_and_grants import place_and_grant
from billing.handlers.save_promo import save_promos
from billing.handlers.set_tier import set_tiers
from billing.testing import WORKFLOWS
from chassis.clock import new_id
from contracts import billing, rewards

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
