"""Webhooks and faults: what is sent, how often, and what goes wrong on purpose."""

import aiohttp
import pytest

from simulators.yookassa.webhooks import ATTEMPTS_MAX, DUE_SECONDS


async def test_a_payment_and_its_refund_are_told_unsigned(stand):
    paid = await stand.sell()
    refund = await stand.control.refund(paid["id"])

    first, second = await stand.receiver.until(2)

    assert (first.event, first.object["id"]) == ("payment.succeeded", paid["id"])
    assert first.object["metadata"] == {"payment_id": "p-1"}
    assert (second.event, second.object) == ("refund.succeeded", refund)
    (attempt,) = (await stand.control.wait_webhook(paid["id"]))["attempts"]
    assert attempt["signature"] == ""


async def test_only_a_200_stops_the_attempts(stand):
    answers = iter([500, 204, 302])
    stand.receiver.answer = lambda _got: next(answers, 200)

    paid = await stand.sell()

    sent = await stand.control.wait_webhook(paid["id"])
    assert [attempt["status"] for attempt in sent["attempts"]] == [500, 204, 302, 200]
    assert len({got.body for got in stand.receiver.received}) == 1


async def test_the_attempts_take_a_day_and_the_next_webhook_is_sent_all_the_same(start):
    stand = await start(time_scale=1)
    stand.receiver.answer = lambda _got: 503
    paid = await stand.sell()
    await stand.receiver.until(1)

    await stand.control.advance(86_400)

    failed = await stand.control.wait_webhook(paid["id"], "failed")
    assert len(failed["attempts"]) == ATTEMPTS_MAX
    assert DUE_SECONDS[-1] == pytest.approx(86_400)
    stand.receiver.answer = lambda _got: 200
    await stand.control.wait_webhook((await stand.sell())["id"])


async def test_anybody_can_claim_a_payment(stand):
    made = await stand.make()

    await stand.control.forge(made["id"], amount={"value": "9999.00", "currency": "RUB"})

    (got,) = stand.receiver.received
    assert (got.event, got.object["status"]) == ("payment.succeeded", "succeeded")
    assert got.object["amount"]["value"] == "9999.00"
    assert (await stand.control.payment(made["id"]))["status"] == "pending"


async def test_webhooks_are_doubled_lost_and_reordered(stand):
    lost, late, doubled = [(await stand.make())["id"] for _ in range(3)]
    await stand.control.fault("lost", object_id=lost)
    await stand.control.fault("reorder", object_id=late)
    await stand.control.fault("duplicate", object_id=doubled)

    for payment_id in (lost, late, doubled):
        await stand.control.pay(payment_id)

    await stand.receiver.until(3)
    assert [got.object["id"] for got in stand.receiver.received] in (
        [doubled, doubled, late],
        [doubled, late, doubled],
    )
    assert (await stand.control.wait_webhook(lost, "lost"))["attempts"] == []


async def test_an_old_webhook_can_be_sent_again(stand):
    paid = await stand.sell()
    sent = await stand.control.wait_webhook(paid["id"])

    await stand.control.resend(sent["id"], verbatim=True)

    first, second = await stand.receiver.until(2)
    assert first == second


async def test_a_lost_answer_leaves_a_payment_nobody_knows(stand, wished):
    await stand.control.fault("lost_answer", times=1)

    with pytest.raises(aiohttp.ClientError):
        await stand.api.post("/payments", wished(), key="k-1")

    (made,) = await stand.control.payments()
    assert (await stand.make(key="k-1"))["id"] == made["id"]
    assert [call["status"] for call in await stand.control.calls("create_payment")] == [0, 200]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("400", "invalid_request"),
        ("401", "invalid_credentials"),
        ("429", "too_many_requests"),
        ("500", "internal_server_error"),
    ],
)
async def test_an_error_answer_strikes_as_often_as_ordered(stand, wished, kind, code):
    await stand.control.fault(kind, times=1, method="create_payment")

    assert (await stand.api.get("/me"))[0] == 200
    assert (await stand.refuse("/payments", wished()))[:2] == (int(kind), code)
    await stand.make()


@pytest.mark.parametrize(("fault", "value"), [({}, "99.50"), ({"amount": "1"}, "1.00")])
async def test_another_amount_is_paid_than_was_asked_for(stand, fault, value):
    await stand.control.fault("wrong_amount", times=1, **fault)

    assert (await stand.sell())["amount"]["value"] == value


async def test_a_payer_is_declined_as_ordered(stand):
    await stand.control.fault("decline", times=1, reason="fraud_suspected")

    assert (await stand.sell())["cancellation_details"]["reason"] == "fraud_suspected"
    assert (await stand.sell())["status"] == "succeeded"


@pytest.mark.parametrize(
    "wrong", [{"kind": "forged"}, {"kind": "500", "object": "x"}, {"kind": "lost", "amount": "x"}]
)
async def test_an_unknown_fault_is_refused(stand, wrong):
    with pytest.raises(AssertionError, match=r"unknown|positive"):
        await stand.control.fault(**wrong)


async def test_reset_forgets_all(stand):
    await stand.sell()
    await stand.control.fault("500")
    await stand.control.settings(receipts=True)

    await stand.control.reset()

    assert await stand.control.payments() == []
    assert await stand.control.webhooks() == []
    await stand.make()
