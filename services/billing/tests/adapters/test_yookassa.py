"""YooKassa: what is special about it, against the simulated one over real sockets."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from billing.adapters.providers.yookassa import Shop, YooKassa
from billing.domain.charges import PAID, Charge
from billing.domain.payments import Payment
from billing.ports.payments import (
    EVENT_CANCELLED,
    EVENT_EXPIRED,
    EVENT_HINT,
    EVENT_PAID,
    EVENT_PARTLY_REFUNDED,
    EVENT_REFUNDED,
    ProviderRefusedError,
    ProviderUnclearError,
    Refunded,
    Refused,
    TokenRefusedError,
    WebhookRejectedError,
)
from chassis.clock import SystemClock
from chassis.secrets import SecretFile
from contracts.ids import PaymentId, UserId
from contracts.money import Credits
from contracts.payments import PRODUCT_PACK, YOOKASSA
from simulators.yookassa.testing import ControlClient, WebhookReceiver, YooKassaSimulator

RETURN_URL = "https://t.me/vitrine_bot"
WEBHOOK_IP = "77.75.156.11"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def sim(receiver: WebhookReceiver) -> AsyncIterator[YooKassaSimulator]:
    async with YooKassaSimulator(webhook_url=receiver.url, time_scale=0) as simulator:
        yield simulator


@pytest.fixture
async def control(sim: YooKassaSimulator) -> AsyncIterator[ControlClient]:
    async with ControlClient(sim.url) as client:
        yield client


@pytest.fixture
def shop(sim: YooKassaSimulator) -> Shop:
    return Shop(sim.shop_id, sim.secret, RETURN_URL, base_url=sim.api_url)


@pytest.fixture
async def yookassa(shop: Shop) -> AsyncIterator[YooKassa]:
    provider = YooKassa(shop, clock=SystemClock(), webhooks=True)
    yield provider
    await provider.close()


def payment(amount_minor: int = 19_900) -> Payment:
    return Payment(
        PaymentId(uuid4()),
        UserId(42),
        YOOKASSA,
        PRODUCT_PACK,
        "credits_100",
        Credits(100),
        Credits(0),
        amount_minor,
        "RUB",
        datetime.now(UTC),
    )


def charge_of(ref: str, amount_minor: int = 19_900) -> Charge:
    now = datetime.now(UTC)
    return Charge(
        *(YOOKASSA, ref, None, UserId(42), "credits_100", amount_minor, "RUB", now, PAID),
        refunding_minor=amount_minor,
    )


async def paid(yookassa: YooKassa, control: ControlClient, wanted: Payment | None = None) -> str:
    ref = (await yookassa.create(wanted or payment())).provider_ref
    await control.pay(ref)
    return ref


def told(event: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": "notification", "event": event, "object": thing}).encode()


async def test_a_payment_is_made_once_however_often_it_is_asked_for(yookassa, control):
    wanted = payment(123_45)

    first = await yookassa.create(wanted)
    again = await yookassa.create(wanted)

    assert first == again
    (made,) = await control.payments()
    assert made["amount"] == {"value": "123.45", "currency": "RUB"}
    assert made["metadata"] == {"payment_id": str(wanted.payment_id)}
    assert made["confirmation"]["return_url"] == RETURN_URL
    assert (first.provider_ref, first.pay_url) == (
        made["id"],
        made["confirmation"]["confirmation_url"],
    )


async def test_a_payment_whose_answer_was_lost_is_found(yookassa, control):
    wanted = payment()
    await control.fault("lost_answer", times=1)
    with pytest.raises(ProviderUnclearError):
        await yookassa.create(wanted)

    found = await yookassa.find(wanted.payment_id)

    assert found == await yookassa.create(wanted)
    assert len(await control.payments()) == 1
    assert await yookassa.find(PaymentId(uuid4())) is None


async def test_what_is_paid_is_fetched_as_it_is(yookassa, control):
    wanted = payment(49_990)
    ref = (await yookassa.create(wanted)).provider_ref
    assert await yookassa.fetch([ref]) == []

    await control.pay(ref)

    (event,) = await yookassa.fetch([ref, str(uuid4())])
    assert (event.kind, event.payment_id, event.charge_id) == (EVENT_PAID, wanted.payment_id, ref)
    assert (event.amount_minor, event.currency) == (49_990, "RUB")
    assert json.loads(event.raw)["id"] == ref
    assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=10)


@pytest.mark.parametrize(("how", "kind"), [("decline", EVENT_CANCELLED), ("expire", EVENT_EXPIRED)])
async def test_a_payment_that_ends_unpaid_says_why(yookassa, control, how, kind):
    ref = (await yookassa.create(payment())).provider_ref

    await getattr(control, how)(ref)

    assert [event.kind for event in await yookassa.fetch([ref])] == [kind]


async def test_a_webhook_is_only_a_hint_of_what_to_ask_for(yookassa, control, receiver):
    ref = await paid(yookassa, control)
    await control.refund(ref)
    received = await receiver.until(2)

    for got in received:
        (hint,) = yookassa.parse_webhook(got.body, {}, "203.0.113.1")
        assert (hint.kind, hint.provider_ref) == (EVENT_HINT, ref)
        assert (hint.amount_minor, hint.payment_id) == (0, None)
        kinds = [event.kind for event in await yookassa.fetch([hint.provider_ref])]
        assert kinds == [EVENT_PAID, EVENT_REFUNDED]


async def test_a_forged_webhook_leads_to_nothing(yookassa, control, receiver):
    ref = (await yookassa.create(payment())).provider_ref
    await control.forge(ref, amount={"value": "100000.00", "currency": "RUB"})

    (got,) = await receiver.until(1)

    (hint,) = yookassa.parse_webhook(got.body, {}, WEBHOOK_IP)
    assert await yookassa.fetch([hint.provider_ref]) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        told("payment.succeeded", {}),
        told("payment.succeeded", {"id": "../../v3/me"}),
        told("payment.succeeded", {"id": 5}),
        told("refund.succeeded", {"id": str(UUID(int=1))}),
        b'{"event": null, "object": {"id": "1"}}',
    ],
)
async def test_a_webhook_that_makes_no_sense_is_rejected(yookassa, raw):
    with pytest.raises(WebhookRejectedError) as caught:
        yookassa.parse_webhook(raw, {}, WEBHOOK_IP)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("remote_ip", "taken"),
    [
        ("77.75.156.11", True),
        ("185.71.77.31", True),
        ("2a02:5180:0:1509::7", True),
        ("77.75.156.12", False),
        ("185.71.77.32", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
async def test_the_callers_network_is_checked_where_that_is_asked_for(shop, remote_ip, taken):
    provider = YooKassa(replace(shop, checks_ip=True), clock=SystemClock(), webhooks=True)
    raw = told("payment.succeeded", {"id": str(UUID(int=1))})

    if taken:
        assert provider.parse_webhook(raw, {}, remote_ip)
    else:
        with pytest.raises(WebhookRejectedError) as caught:
            provider.parse_webhook(raw, {}, remote_ip)
        assert caught.value.status == 401


async def test_a_receipt_is_sent_where_receipts_are_on(shop, control):
    await control.settings(receipts=True)
    plain = YooKassa(shop, clock=SystemClock(), webhooks=False)
    fiscal = replace(shop, receipt_email="shop@example.org", vat_code=4, item="Кредиты")
    with_receipts = YooKassa(fiscal, clock=SystemClock(), webhooks=False)

    with pytest.raises(ProviderRefusedError):
        await plain.create(payment())
    made = await with_receipts.create(payment(19_900))

    receipt = (await control.payment(made.provider_ref))["receipt"]
    assert receipt["customer"] == {"email": "shop@example.org"}
    (item,) = receipt["items"]
    assert (item["description"], item["vat_code"]) == ("Кредиты: 100", 4)
    assert item["amount"] == {"value": "199.00", "currency": "RUB"}
    await plain.close()
    await with_receipts.close()


async def test_a_refund_is_made_once_however_often_it_is_asked_for(yookassa, control):
    ref = await paid(yookassa, control)
    await control.fault("lost_answer", method="create_refund", times=1)

    with pytest.raises(ProviderUnclearError):
        await yookassa.refund(charge_of(ref), "refund-1")
    answers = [await yookassa.refund(charge_of(ref), "refund-1") for _ in range(2)]

    assert answers == [Refunded(), Refunded()]
    (refund,) = await control.refunds()
    assert refund["amount"]["value"] == "199.00"


async def test_what_was_given_back_by_hand_counts_as_refunded(yookassa, control):
    ref = await paid(yookassa, control)
    await control.refund(ref)

    assert await yookassa.refund(charge_of(ref), "refund-1") == Refunded()


async def test_a_part_given_back_by_hand_leaves_the_rest_refused(yookassa, control):
    ref = await paid(yookassa, control)
    await control.refund(ref, amount="50.00")

    assert await yookassa.refund(charge_of(ref), "refund-1") == Refused("invalid_request")
    kinds = [event.kind for event in await yookassa.fetch([ref])]
    assert kinds == [EVENT_PAID, EVENT_PARTLY_REFUNDED]


async def test_a_refused_refund_says_why(yookassa, control):
    ref = await paid(yookassa, control)
    await control.fault("refund_canceled", times=1, reason="insufficient_funds")

    assert await yookassa.refund(charge_of(ref), "refund-1") == Refused("insufficient_funds")


async def test_a_pending_refund_is_asked_about_until_it_is_over(yookassa, control):
    ref = await paid(yookassa, control)
    await control.fault("refund_pending", times=1)
    with pytest.raises(ProviderUnclearError):
        await yookassa.refund(charge_of(ref), "refund-1")
    (pending,) = await control.refunds()

    await control.finish_refund(pending["id"], "succeeded")

    assert await yookassa.refund(charge_of(ref), "refund-1") == Refunded()
    assert len(await control.refunds()) == 1


async def test_the_statement_has_every_payment_and_what_was_given_back(yookassa, control):
    first, second = [await paid(yookassa, control) for _ in range(2)]
    await yookassa.create(payment())

    events, cursor = await yookassa.list_since("")
    await control.advance(3 * 86_400)
    await control.refund(first)
    later, _ = await yookassa.list_since(
        (datetime.fromisoformat(cursor) + timedelta(days=3)).isoformat()
    )

    assert [(event.kind, event.charge_id) for event in events] == [
        (EVENT_PAID, first),
        (EVENT_PAID, second),
    ]
    assert [(event.kind, event.charge_id) for event in later] == [
        (EVENT_PAID, first),
        (EVENT_REFUNDED, first),
    ]


async def test_a_long_statement_is_read_page_by_page(yookassa, control):
    refs = [await paid(yookassa, control) for _ in range(103)]

    events, _ = await yookassa.list_since("")

    assert [event.charge_id for event in events] == refs


async def test_the_next_call_has_the_new_secret(sim, shop, tmp_path):
    file = tmp_path / "secret"
    file.write_text(sim.secret)
    secret = SecretFile(file, name="BILLING_YOOKASSA_SECRET_FILE")
    yookassa = YooKassa(replace(shop, secret=secret), clock=SystemClock(), webhooks=True)
    await yookassa.check()
    sim._core.options.secret = "live_another"
    with pytest.raises(TokenRefusedError):
        await yookassa.check()

    file.write_text("live_another")

    await yookassa.check()
    await yookassa.close()
