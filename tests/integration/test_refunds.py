"""What does not end with a result costs nothing, and the person is told so."""

import pytest

from devstack.customer import ENHANCE, PRODUCT_SCENE, Customer, Quote
from devstack.stage import Stage
from devstack.testing import wait_until

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

PATIENCE_SECONDS = 60.0
FREE_PER_DAY = 5


async def state_of(stage: Stage, quote: Quote) -> str:
    rows = await stage.fetch("SELECT state FROM billing.orders WHERE order_id = $1", quote.order_id)
    return str(rows[0]["state"]) if rows else ""


async def has_ended(stage: Stage, quote: Quote, state: str) -> None:
    async def ended() -> bool:
        return await state_of(stage, quote) == state

    await wait_until(ended, f"{quote.order_id} {state}", PATIENCE_SECONDS)


async def credits_of(stage: Stage, customer: Customer) -> tuple[int, int]:
    account = await stage.account(customer.chat.user_id)
    return account.available, account.held


async def test_a_broken_workflow_is_not_charged_and_says_so(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    offer = await customer.offer(coffee)
    quote = await customer.quote(offer, PRODUCT_SCENE)
    fault = {"kind": "error", "type": "ValueError", "message": "a node fell over", "times": -1}
    await steady.comfyui("faults", fault)

    await customer.chat.press(quote.message, quote.confirm)
    answer = await customer.chat.wait_for(
        lambda said: "You were not charged, 10 credits are back." in said.text, "refund"
    )

    assert "something broke on our side" in answer.text
    assert "fell over" not in answer.text
    assert await credits_of(steady, customer) == (20, 0)
    history = await customer.ask("/history")
    assert "came back, not charged" in history.text
    await steady.comfyui_well()
    again = await customer.quote(answer, PRODUCT_SCENE)
    assert again.order_id != quote.order_id


async def test_a_cancelled_order_is_refunded_queued_or_running(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    offer = await customer.offer(coffee)
    running = await customer.quote(offer, PRODUCT_SCENE)
    queued = await customer.quote(offer, PRODUCT_SCENE)
    await steady.comfyui("time_scale", {"time_scale": 1.0, "job_seconds": 30.0})
    await customer.chat.press(running.message, running.confirm)
    await customer.status(running, "in the works")
    await customer.chat.press(queued.message, queued.confirm)
    await customer.status(queued, "accepted")
    assert await credits_of(steady, customer) == (0, 20)

    first = await customer.cancel(queued)
    await has_ended(steady, queued, "refunded")
    assert await credits_of(steady, customer) == (10, 10)
    second = await customer.cancel(running)
    await has_ended(steady, running, "refunded")

    assert "Stopping your order" in first.text
    assert "Stopping your order" in second.text
    for quote in (running, queued):
        told = await customer.status(quote, "cancelled")
        assert "10 credits are back" in told.text
    late = await customer.cancel(running)
    assert "already finished" in late.text
    assert await credits_of(steady, customer) == (20, 0)
    assert not [said for said in await customer.chat.messages() if said.media_kind]


async def test_free_orders_end_at_the_daily_number_and_a_tier_ends_that(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    user_id = customer.chat.user_id
    offer = await customer.offer(coffee)
    free = [await ordered(customer, offer) for _ in range(FREE_PER_DAY)]
    refusal = await customer.status(await ordered(customer, offer), "could not take this order")
    code, said = await steady.run(
        "billing", "set-tier", str(user_id), "vip", "--reason", "test", "--days", "30"
    )
    await customer.chat.wait_for(lambda message: "VIP" in message.text, "tier notice")
    as_vip = await ordered(customer, offer)
    for quote in (*free, as_vip):
        await has_ended(steady, quote, "completed")

    assert "free orders are used up" in refusal.text
    assert code == 0, said
    assert await credits_of(steady, customer) == (20, 0)


async def ordered(customer: Customer, offer) -> Quote:
    quote = await customer.quote(offer, ENHANCE)
    await customer.chat.press(quote.message, quote.confirm)
    return quote


async def test_granted_credits_are_told_and_black_gold_takes_the_priority_lane(
    steady: Stage, customer: Customer, coffee: bytes
) -> None:
    user_id = str(customer.chat.user_id)
    grant = ("billing", "grant", user_id, "50", "--reason", "test", "--key", f"test:{user_id}")

    code, said = await steady.run(*grant)
    again, said_again = await steady.run(*grant)
    await customer.chat.wait_for(lambda message: "You received 50 credits" in message.text, "grant")
    tier, _ = await steady.run(
        "billing", "set-tier", user_id, "black_gold", "--reason", "test", "--days", "30"
    )
    await customer.chat.wait_for(lambda message: "Black Gold" in message.text, "tier notice")
    quote = await customer.order(coffee, PRODUCT_SCENE)
    await customer.result(quote)

    rows = await steady.fetch("SELECT lane FROM billing.orders WHERE order_id = $1", quote.order_id)
    assert (code, again, tier) == (0, 0, 0), said
    assert "already granted" in said_again
    assert [row["lane"] for row in rows] == ["priority"]
    assert await credits_of(steady, customer) == (60, 0)
