"""YooKassa from the wish to pay to the credits: its unsigned webhooks are only a reason to ask."""

import json

import pytest

from billing.adapters.providers.yookassa import Shop, YooKassa
from contracts.payments import YOOKASSA
from simulators.yookassa.testing import ControlClient, YooKassaSimulator


@pytest.fixture
async def teller(cashier, teller_of):
    """The cashier with YooKassa switched on."""
    async with YooKassaSimulator(time_scale=0) as simulator:
        async with ControlClient(simulator.url) as control:
            shop = Shop(
                simulator.shop_id,
                simulator.secret,
                "https://t.me/vitrine_bot",
                base_url=simulator.api_url,
            )
            provider = YooKassa(shop, clock=cashier.desk.clock, webhooks=True)
            price = (cashier.till.offers.packs["credits_300"].prices["RUB"], "RUB")
            yield await teller_of(provider, control, price=price, find_made=control.wait_payment)


async def bought(teller):
    _, made = await teller.invoice()
    await teller.control.pay(made["id"])
    await teller.control.wait_webhook(made["id"])
    return made["id"]


async def claim(teller, ref, **changes):
    """What anybody who knows the path can post."""
    thing = {"id": ref, "status": "succeeded", "paid": True, **changes}
    body = {"type": "notification", "event": "payment.succeeded", "object": thing}
    return await teller.post(json.dumps(body).encode())


async def available(teller):
    return (await teller.cashier.account()).available


async def test_a_paid_payment_is_credited_by_its_webhook_once(teller):
    created, made = await teller.invoice()
    before = await teller.ids()

    await teller.control.pay(made["id"])
    sent = await teller.control.wait_webhook(made["id"])
    for _ in range(5):
        await teller.control.resend(sent["id"])

    (credited,) = await teller.events_since(before)
    assert created.pay_url == made["confirmation"]["confirmation_url"]
    assert (credited.credits, credited.currency) == (330, "RUB")
    assert credited.amount_minor == teller.price[0]
    assert await available(teller) == 350
    assert (await teller.cashier.payment(created.payment_id)).state == "paid"
    assert await teller.watch(2) == []


async def test_a_claim_that_is_not_true_credits_nothing(teller):
    _, made = await teller.invoice()

    assert await claim(teller, made["id"], amount=made["amount"]) == 200
    assert await claim(teller, "3295201a-000f-5aa7-af5b-5bb6a46e6b49") == 200
    assert await claim(teller, "../refunds") == 400

    assert await available(teller) == 20
    assert await teller.cashier.rows("SELECT count(*) FROM charges") == [(0,)]


async def test_what_is_credited_is_what_was_paid_and_not_what_was_claimed(teller):
    _, made = await teller.invoice()
    await teller.control.fault("lost", times=1)
    await teller.control.pay(made["id"], amount="1.00")
    before = await teller.ids()

    assert await claim(teller, made["id"], amount=made["amount"]) == 200

    (held,) = await teller.events_since(before)
    assert (held.code, held.amount_minor) == ("wrong_amount", 100)
    assert await available(teller) == 20


async def test_a_webhook_is_sent_again_while_its_object_cannot_be_asked_for(teller):
    _, made = await teller.invoice()
    await teller.control.fault("500", method="get_payment", times=2)
    await teller.control.fault("401", method="get_payment", times=1)

    await teller.control.pay(made["id"])

    sent = await teller.control.wait_webhook(made["id"])
    assert [attempt["status"] for attempt in sent["attempts"]] == [503, 503, 503, 200]
    assert await available(teller) == 350


async def test_a_declined_payment_is_told(teller):
    created, made = await teller.invoice()
    before = await teller.ids()

    await teller.control.decline(made["id"])
    await teller.control.wait_webhook(made["id"])

    (failed,) = await teller.events_since(before)
    assert (failed.payment_id, failed.code) == (created.payment_id, "cancelled")


async def test_a_lost_answer_makes_no_second_payment(teller):
    await teller.control.fault("lost_answer", times=1)
    payment_id = await teller.ask()

    (created,) = await teller.work(3)

    (made,) = await teller.control.payments(metadata=str(payment_id))
    assert created.pay_url == made["confirmation"]["confirmation_url"]


async def test_without_webhooks_asking_finds_the_payment(teller):
    await teller.reconciled()
    await teller.control.webhook(enabled=False)
    _, made = await teller.invoice()
    await teller.control.pay(made["id"])

    (credited,) = await teller.watch()

    assert credited.credits == 330


async def test_a_refund_gives_the_money_back_once(teller):
    charge_id = await bought(teller)
    await teller.control.fault("lost_answer", method="create_refund", times=1)

    await teller.cashier.refund(charge_id, provider=YOOKASSA)
    (told,) = await teller.work(3)

    assert (told.charge_id, told.taken_credits) == (charge_id, 330)
    assert len(await teller.control.refunds()) == 1
    assert await available(teller) == 20


async def test_a_refused_refund_gives_the_credits_again(teller):
    charge_id = await bought(teller)
    await teller.control.fault("refund_canceled", times=1, reason="insufficient_funds")

    await teller.cashier.refund(charge_id, provider=YOOKASSA)
    (refused,) = await teller.work()

    assert refused.code == "insufficient_funds"
    assert await available(teller) == 350


async def test_money_given_back_in_the_web_cabinet_takes_the_credits(teller):
    charge_id = await bought(teller)

    refund = await teller.control.refund(charge_id)
    await teller.control.wait_webhook(refund["id"])

    assert await available(teller) == 20
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "charged_back"


async def test_a_charge_back_takes_the_credits_and_is_told(teller):
    await teller.control.fault("charge_back", times=1)
    before = await teller.ids()

    charge_id = await bought(teller)
    (refund,) = await teller.control.refunds()
    await teller.control.wait_webhook(refund["id"])

    told = {type(each).__name__: each for each in await teller.events_since(before)}
    assert set(told) == {"PaymentCreated", "PaymentCredited", "ChargeRefunded", "ProviderAlarmed"}
    assert told["ChargeRefunded"].charged_back
    assert told["ChargeRefunded"].taken_credits == 330
    assert (told["ProviderAlarmed"].code, told["ProviderAlarmed"].provider) == (
        "charged_back",
        "yookassa",
    )
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "charged_back"
    assert await available(teller) == 20


async def test_a_charge_back_no_webhook_told_is_found_in_the_statement(teller):
    charge_id = await bought(teller)
    await teller.reconciled()
    await teller.cashier.adjust(-300)
    await teller.control.webhook(enabled=False)
    await teller.control.charge_back(charge_id)

    await teller.cashier.later(days=1)
    told = {type(each).__name__: each for each in await teller.watch()}

    assert (told["ChargeRefunded"].charged_back, told["ChargeRefunded"].debt_credits) == (True, 280)
    account = await teller.cashier.account()
    assert (account.available, account.debt) == (0, 280)


async def test_a_part_given_back_by_hand_takes_nothing_and_alarms_once(teller):
    charge_id = await bought(teller)
    before = await teller.ids()

    refund = await teller.control.refund(charge_id, amount="50.00")
    sent = await teller.control.wait_webhook(refund["id"])
    await teller.control.resend(sent["id"])

    (alarm,) = await teller.events_since(before)
    assert (alarm.code, alarm.detail) == (
        "statement_differs",
        f"5000 RUB of {charge_id} went back",
    )
    assert await available(teller) == 350


async def test_a_refund_of_ours_is_no_charge_back(teller):
    charge_id = await bought(teller)

    await teller.cashier.refund(charge_id, provider=YOOKASSA)
    (told,) = await teller.work()
    (refund,) = await teller.control.refunds()
    await teller.control.wait_webhook(refund["id"])

    assert not told.charged_back
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "refunded"
