"""Crypto Pay against its simulator: invoices, webhooks, polling, refunds, faults."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from billing.adapters.providers.crypto_pay import CryptoPay
from billing.domain.charges import share
from billing.webhooks import BODY_BYTES_MAX
from chassis.clock import new_id
from contracts import payments
from contracts.payments import CRYPTO_PAY
from simulators.crypto_pay.testing import (
    SIGNATURE_HEADER,
    ControlClient,
    CryptoPaySimulator,
    sign,
)

USER = 7
TOKEN = "777:AA-token-of-a-test"
SECRET = "nobody-guesses-this-segment"


def kinds(events):
    return [type(each).__name__ for each in events]


async def signed(teller, body):
    return await teller.post(body, headers={SIGNATURE_HEADER: sign(TOKEN, body)})


@pytest.fixture
async def teller(cashier, teller_of):
    """The cashier with Crypto Pay switched on."""
    async with CryptoPaySimulator(token=TOKEN, time_scale=0) as simulator:
        async with ControlClient(simulator.url) as control:
            provider = CryptoPay(
                token=TOKEN,
                base_url=simulator.url,
                tender=cashier.till.offers.tenders[CRYPTO_PAY],
                clock=cashier.desk.clock,
                webhooks=True,
            )
            price = (549, "USD")
            yield await teller_of(provider, control, price=price, find_made=control.wait_invoice)


async def test_an_invoice_is_made_outside_and_can_be_paid_there(teller):
    created, made = await teller.invoice()

    assert (created.pay_url, created.amount_minor) == (made["bot_invoice_url"], 549)
    assert (made["amount"], made["fiat"]) == ("5.49", "USD")
    assert made["accepted_assets"] == ["USDT", "TON", "BTC"]
    assert created.expires_at - teller.cashier.now > timedelta(minutes=55)


async def test_a_paid_invoice_is_credited_by_its_webhook_once(teller):
    created, made = await teller.invoice(order_id=(order_id := new_id()))
    before = await teller.ids()

    await teller.control.pay(made["invoice_id"], asset="TON")
    await teller.control.wait_webhook(made["invoice_id"])
    sent = await teller.control.webhooks(made["invoice_id"])
    for _ in range(5):
        await teller.control.resend(sent[0]["id"])

    (credited,) = await teller.events_since(before)
    assert (credited.credits, credited.order_id) == (330, order_id)
    assert (credited.amount_minor, credited.currency) == (549, "USD")
    assert (await teller.cashier.account()).available == 350
    assert (await teller.cashier.payment(created.payment_id)).state == "paid"
    assert await teller.watch(2) == []


async def test_replays_in_any_order_from_four_callers_credit_once(teller):
    made = [(await teller.invoice())[1]["invoice_id"] for _ in range(3)]
    bodies = []
    for invoice_id in made:
        await teller.control.fault("lost", times=1)
        await teller.control.pay(invoice_id)
        body = json.dumps(
            {
                "update_id": 1,
                "update_type": "invoice_paid",
                "request_date": "2026-11-22T00:00:00.000Z",
                "payload": await teller.control.invoice(invoice_id),
            }
        ).encode()
        bodies += [body] * 5

    statuses = await asyncio.gather(*(signed(teller, body) for body in reversed(bodies)))

    assert set(statuses) == {200}
    assert (await teller.cashier.account()).available == 20 + 3 * 330
    assert await teller.cashier.rows("SELECT count(*) FROM charges") == [(3,)]


async def test_a_lost_answer_is_looked_up_and_makes_no_second_invoice(teller):
    await teller.control.fault("lost_answer", times=1)
    payment_id = await teller.ask()

    events = await teller.work(3)

    assert kinds(events) == ["PaymentCreated"]
    assert len(await teller.control.invoices(payload=str(payment_id))) == 1


async def test_a_provider_that_is_down_is_tried_again_then_told(teller):
    await teller.control.fault("500", method="createInvoice", times=1)
    await teller.ask()
    again = await teller.work(4)

    await teller.control.fault("400", method="createInvoice", name="AMOUNT_TOO_BIG", times=1)
    payment_id = await teller.ask()
    (failed,) = await teller.work()

    assert kinds(again) == ["PaymentCreated"]
    assert (failed.payment_id, failed.code) == (payment_id, "provider_failed")
    assert (await teller.cashier.payment(payment_id)).state == "failed"


async def test_without_webhooks_asking_finds_the_payment_and_alarms_in_the_end(teller):
    await teller.reconciled()
    await teller.control.webhook(enabled=False)
    seen = []
    for _ in range(5):
        _, made = await teller.invoice()
        await teller.control.pay(made["invoice_id"])
        seen += kinds(await teller.watch())

    assert seen == ["PaymentCredited"] * 5 + ["ProviderAlarmed"]
    assert (await teller.cashier.account()).available == 20 + 5 * 330


async def test_an_expired_invoice_is_told_and_late_money_still_counts(teller):
    await teller.reconciled()
    created, made = await teller.invoice()
    await teller.control.webhook(enabled=False)
    await teller.control.expire(made["invoice_id"])
    (expired,) = await teller.watch()

    await teller.control.pay(made["invoice_id"], force=True)
    (credited,) = await teller.watch()

    assert (expired.payment_id, expired.code) == (created.payment_id, "expired")
    assert credited.late


async def test_a_wrong_amount_is_held(teller):
    _, made = await teller.invoice()
    before = await teller.ids()
    await teller.control.fault("wrong_amount", times=1)

    await teller.control.pay(made["invoice_id"])
    await teller.control.wait_webhook(made["invoice_id"])

    (held,) = await teller.events_since(before)
    assert held.code == "wrong_amount"
    assert (await teller.cashier.account()).available == 20


async def test_an_invoice_nobody_here_made_is_held_for_a_person(teller):
    _, answer = await teller.control.api(
        TOKEN, "createInvoice", currency_type="fiat", fiat="USD", amount="3"
    )
    before = await teller.ids()

    await teller.control.pay(answer["result"]["invoice_id"])
    await teller.control.wait_webhook(answer["result"]["invoice_id"])

    (held,) = await teller.events_since(before)
    assert (held.code, held.user_id, held.payment_id) == ("unknown_payment", 0, None)


async def test_a_cancelled_payment_makes_no_invoice(teller):
    payment_id = await teller.ask()
    await teller.cashier.cancel(payment_id)

    assert await teller.work() == []
    assert await teller.control.invoices(payload=str(payment_id)) == []


async def test_a_refused_token_alarms_once_and_comes_back(teller):
    await teller.control.fault("401")
    first = await teller.watch()
    again = await teller.watch()
    (failed,) = await teller.cashier.create("credits_300", 549, "USD", provider=CRYPTO_PAY)
    await teller.control.clear_faults()
    await teller.watch()

    created, _ = await teller.invoice()

    assert (kinds(first), first[0].code) == (["ProviderAlarmed"], "token_refused")
    assert (again, failed.code) == ([], "provider_off")
    assert isinstance(created, payments.PaymentCreated)


async def test_the_daily_statement_finds_what_nothing_else_told(teller):
    created, made = await teller.invoice()
    await teller.control.webhook(enabled=False)
    await teller.control.pay(made["invoice_id"])

    events = await teller.watch()

    assert kinds(events) == ["PaymentCredited", "ProviderAlarmed"]
    assert events[0].payment_id == created.payment_id
    assert events[1].code == "statement_differs"


# --- refunds -----------------------------------------------------------------------------------


async def bought(teller):
    _, made = await teller.invoice()
    await teller.control.pay(made["invoice_id"], asset="USDT")
    await teller.control.wait_webhook(made["invoice_id"])
    return str(made["invoice_id"])


async def test_a_refund_is_a_transfer_of_what_was_paid_made_once(teller):
    charge_id = await bought(teller)
    held = await teller.control.balance()
    await teller.control.fault("lost_answer", method="transfer", times=1)

    asked = await teller.cashier.refund(charge_id, provider=CRYPTO_PAY)
    (told,) = await teller.work(3)

    assert asked == []
    assert (told.charge_id, told.taken_credits) == (charge_id, 330)
    left = await teller.control.balance()
    assert float(held["USDT"]) - float(left["USDT"]) == pytest.approx(5.49, abs=0.01)
    assert (await teller.cashier.account()).available == 20


async def test_a_transfer_that_is_refused_gives_the_credits_back(teller):
    charge_id = await bought(teller)
    await teller.control.fault("400", method="transfer", name="METHOD_DISABLED", times=1)

    await teller.cashier.refund(charge_id, provider=CRYPTO_PAY)
    taken = (await teller.cashier.account()).available
    (refused,) = await teller.work()

    assert (taken, refused.code) == (20, "method_disabled")
    assert (await teller.cashier.account()).available == 350
    assert (await teller.cashier.charge(charge_id, CRYPTO_PAY)).state == "paid"
    await teller.cashier.refund(charge_id, provider=CRYPTO_PAY)
    assert kinds(await teller.work()) == ["ChargeRefunded"]


# --- what is posted to the webhook -------------------------------------------------------------


async def test_only_what_the_provider_signed_is_taken(teller):
    _, made = await teller.invoice()
    await teller.control.fault("lost", times=1)
    await teller.control.pay(made["invoice_id"])
    paid = await teller.control.invoice(made["invoice_id"])
    update = {"update_id": 1, "update_type": "invoice_paid", "payload": paid}
    body = json.dumps(update).encode()
    signature = {SIGNATURE_HEADER: sign(TOKEN, body)}
    written_anew = json.dumps(update, indent=1).encode()
    wrong_path = teller.url.replace(SECRET, "nobody-guesses-this-segmenu")

    assert await teller.post(body) == 401
    assert await teller.post(body, headers={SIGNATURE_HEADER: "é"}) == 401
    assert await teller.post(body, headers={SIGNATURE_HEADER: sign("other", body)}) == 401
    assert await teller.post(written_anew, headers=signature) == 401
    assert await teller.post(body, headers=signature, url=wrong_path) == 404
    other = teller.url.replace("crypto_pay", "stars")
    assert await teller.post(body, headers=signature, url=other) == 404
    assert await teller.post(None, headers=signature, method="GET") == 405
    text = {**signature, "content-type": "text/plain"}
    assert await teller.post(body, headers=text) == 415
    assert await teller.post(b" " * (BODY_BYTES_MAX + 1)) == 413
    assert await signed(teller, b"not json") == 400
    assert await signed(teller, b'{"update_type": "invoice_paid"}') == 400
    assert await signed(teller, b'{"update_type": "of_another_kind"}') == 200
    assert (await teller.cashier.account()).available == 20
    assert await teller.post(body, headers=signature) == 200
    assert (await teller.cashier.account()).available == 350


async def test_a_body_that_never_ends_is_given_up(teller, monkeypatch):
    monkeypatch.setattr("chassis.http_edge.READ_SECONDS_MAX", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", teller.webhooks.port)
    head = (
        f"POST /pay/crypto_pay/{SECRET} HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    writer.write(head.encode())

    status = await asyncio.wait_for(reader.readline(), 5)

    writer.close()
    assert b"408" in status


async def test_headers_that_never_end_are_cut(teller, monkeypatch):
    monkeypatch.setattr("chassis.http_edge.READ_SECONDS_MAX", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", teller.webhooks.port)
    writer.write(b"POST /pay/crypto_pay/x HTTP/1.1\r\nHost: x\r\n")

    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""

    writer.close()


async def test_a_chunked_body_has_the_same_limit(teller):
    async def endless():
        for _ in range(BODY_BYTES_MAX // 65_536 + 2):
            yield b" " * 65_536

    assert await teller.post(endless()) == 413


async def test_payments_found_only_by_asking_raise_the_alarm_once(teller):
    """However many of them one round of asking finds."""
    await teller.reconciled()
    await teller.control.webhook(url=teller.url, enabled=False)
    told = []
    for number in (4, 3, 3):
        for _ in range(number):
            _, made = await teller.invoice()
            await teller.control.pay(made["invoice_id"])
        told.append(await teller.watch())

    assert [kinds(events).count("PaymentCredited") for events in told] == [4, 3, 3]
    alarms = [each for events in told for each in events if kinds([each]) == ["ProviderAlarmed"]]
    assert [(each.code, each.detail) for each in alarms] == [
        ("webhooks_silent", "7 payments without one")
    ]
    assert alarms[0] in told[1]
    assert (await teller.cashier.account()).available == 20 + 10 * 330


async def test_parts_of_a_charge_go_back_as_transfers_of_their_share(teller):
    _, made = await teller.invoice()
    await teller.control.pay(made["invoice_id"], asset="TON")
    await teller.control.wait_webhook(made["invoice_id"])
    ref = str(made["invoice_id"])

    for part in (150, 250):  # a transfer is worth a dollar or more
        await teller.cashier.refund(ref, provider=CRYPTO_PAY, amount_minor=part)
        await teller.work()

    _, answer = await teller.control.api(TOKEN, "getTransfers")
    sent = [Decimal(each["amount"]) for each in answer["result"]["items"]]
    paid = Decimal((await teller.control.invoice(made["invoice_id"]))["paid_amount"])
    charge = await teller.cashier.charge(ref, CRYPTO_PAY)
    assert (len(sent), sum(sent)) == (2, paid * 400 / 549)
    assert (charge.state, charge.refunded_minor) == ("paid", 400)
    assert charge.taken_credits == share(300, 400, 549) + share(30, 400, 549)
