"""Webhooks: what is sent, how it is signed, retried, switched off and sent again."""

import hashlib
import hmac

import pytest

from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator, eventually
from simulators.crypto_pay.webhooks import DUE_SECONDS

TOKEN = "777:AA-token-of-a-test"
USDT = {"asset": "USDT", "amount": "5", "payload": "p-1"}
THREE_DAYS = 3 * 86_400


@pytest.fixture
def sell(call, control):
    """Make and pay an invoice; its id."""

    async def sell(**changes) -> int:
        invoice_id = (await call("createInvoice", **(USDT | changes)))["invoice_id"]
        await control.pay(invoice_id)
        return invoice_id

    return sell


async def test_a_payment_is_told_with_a_signature_over_the_raw_body(sell, receiver):
    invoice_id = await sell()

    got = (await receiver.until(1))[0]

    key = hashlib.sha256(TOKEN.encode()).digest()
    assert got.signature == hmac.new(key, got.body, hashlib.sha256).hexdigest()
    update = got.update
    assert update.keys() == {"update_id", "update_type", "request_date", "payload"}
    assert update["update_type"] == "invoice_paid"
    assert update["request_date"].endswith("Z")
    assert update["payload"]["invoice_id"] == invoice_id
    assert update["payload"]["status"] == "paid"
    assert update["payload"]["payload"] == "p-1"
    assert (update["payload"]["fee"], update["payload"]["usd_rate"]) == ("0.15", "1")


async def test_a_refused_webhook_is_sent_again_until_it_is_accepted(sell, receiver, control):
    answers = iter([500, 404, 302])
    receiver.answer = lambda _got: next(answers, 200)

    invoice_id = await sell()

    sent = await control.wait_webhook(invoice_id)
    assert [attempt["status"] for attempt in sent["attempts"]] == [500, 404, 302, 200]
    assert all(
        attempt["signature"] == got.signature
        for attempt, got in zip(sent["attempts"], receiver.received, strict=True)
    )


async def test_after_seventeen_attempts_webhooks_are_switched_off(sell, receiver, control):
    receiver.answer = lambda _got: 503

    first = await sell()

    failed = await control.wait_webhook(first, "failed")
    assert len(failed["attempts"]) == 17
    webhook = (await control.call("GET", "/webhook"))["webhook"]
    assert webhook["enabled"] is False
    assert webhook["disabled_reason"] == "no answer after 17 attempts"

    second = await sell()

    assert (await control.wait_webhook(second, "dropped"))["attempts"] == []
    assert (await control.invoice(second))["status"] == "paid", "polling still tells"


async def test_the_owner_switches_webhooks_on_again_and_sends_old_ones(sell, receiver, control):
    await control.webhook(enabled=False)
    missed = await sell()
    dropped = await control.wait_webhook(missed, "dropped")

    assert (await control.webhook(enabled=True))["disabled_at"] is None
    told = await sell()
    await control.wait_webhook(told)
    attempt = await control.resend(dropped["id"])

    assert attempt["status"] == 200
    assert receiver.invoice_ids == [told, missed]
    assert (await control.wait_webhook(missed))["state"] == "delivered"


async def test_the_attempts_take_three_days_of_the_clock(receiver):
    receiver.answer = lambda _got: 500
    async with (
        CryptoPaySimulator(token=TOKEN, webhook_url=receiver.url) as sim,
        ControlClient(sim.url) as control,
    ):
        _, made = await control.api(TOKEN, "createInvoice", **USDT)
        invoice_id = made["result"]["invoice_id"]
        await control.pay(invoice_id)
        await receiver.until(1)

        await control.advance(THREE_DAYS / 2)
        await eventually(
            lambda: control.webhooks(invoice_id), lambda sent: len(sent[0]["attempts"]) == 16
        )
        still_on = (await control.call("GET", "/webhook"))["webhook"]["enabled"]
        await control.advance(THREE_DAYS / 2)
        await control.wait_webhook(invoice_id, "failed")

    assert still_on is True
    assert len(receiver.received) == 17
    assert DUE_SECONDS[-1] == pytest.approx(THREE_DAYS)
    dates = {got.update["request_date"] for got in receiver.received}
    assert len(dates) > 1, "every attempt is dated anew"


async def test_a_silent_endpoint_is_an_attempt_without_a_status(call, control):
    await control.webhook(url="http://127.0.0.1:9/nobody")
    invoice_id = (await call("createInvoice", **USDT))["invoice_id"]

    await control.pay(invoice_id)

    failed = await control.wait_webhook(invoice_id, "failed")
    assert {attempt["status"] for attempt in failed["attempts"]} == {0}
    assert "Connect" in failed["attempts"][0]["error"]


async def test_without_an_address_nothing_is_sent_but_all_is_recorded(control, sell, receiver):
    await control.webhook(url="")

    invoice_id = await sell()

    assert (await control.wait_webhook(invoice_id, "dropped"))["attempts"] == []
    assert receiver.received == []


async def test_an_old_webhook_can_be_replayed_byte_by_byte(sell, receiver, control):
    invoice_id = await sell()
    sent = await control.wait_webhook(invoice_id)

    await control.resend(sent["id"], verbatim=True)
    await control.resend(sent["id"])

    first, replayed, fresh = await receiver.until(3)
    assert (replayed.body, replayed.signature) == (first.body, first.signature)
    assert fresh.genuine
    assert fresh.update["payload"] == first.update["payload"]


async def test_a_forgery_claims_a_payment_that_was_not_made(call, receiver, control):
    invoice_id = (await call("createInvoice", **USDT))["invoice_id"]

    attempt = await control.forge(invoice_id, paid_amount="5000")

    got = receiver.received[0]
    assert (attempt["status"], got.genuine) == (403, False)
    assert got.update["payload"]["paid_amount"] == "5000"
    assert got.update["payload"]["status"] == "paid"
    assert (await control.invoice(invoice_id))["status"] == "active"


async def test_reset_forgets_all_but_not_which_ids_were_used(call, control, sell, receiver):
    before = await sell()
    await control.wait_webhook(before)
    await control.webhook(url="http://127.0.0.1:9/")
    await control.fault("500")

    await control.reset()

    assert (await call("getInvoices"))["items"] == []
    assert (await control.balance())["USDT"] == "1000"
    assert await control.webhooks() == []
    after = await sell()
    assert after > before
    await control.wait_webhook(after)
    assert receiver.invoice_ids == [before, after]
