"""YooKassa from the wish to pay to the credits: its unsigned webhooks are only a reason to ask."""

import json
from dataclasses import replace

import pytest

from billing.adapters.audit import audit
from billing.adapters.providers.yookassa import Shop, YooKassa
from billing.domain.charges import share
from billing.webhooks import PaymentWebhooks
from chassis.callers import PRIVATE, Proxies, networks
from contracts.payments import YOOKASSA
from simulators.yookassa.testing import ControlClient, YooKassaSimulator

SECRET = "nobody-guesses-this-segment"


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


async def books_are_broken(teller):
    async with teller.cashier.desk.database.read() as connection:
        report = await audit(connection)
    return [check.name for check in report.checks if check.broken_by]


@pytest.mark.parametrize(
    ("header", "statuses"), [("X-Real-IP", [401, 200]), ("", [401, 401])], ids=["proxy", "none"]
)
async def test_the_providers_network_is_told_behind_a_proxy(teller, header, statuses):
    """By the header of a proxy that is trusted; without one, every caller is the proxy."""
    _, made = await teller.invoice()
    await teller.control.fault("lost", times=1)
    await teller.control.pay(made["id"])
    teller.provider._shop = replace(teller.provider._shop, checks_ip=True)
    behind = PaymentWebhooks(
        {YOOKASSA: teller.provider},
        teller.cashier.till,
        teller.outbox,
        secret=SECRET,
        host="127.0.0.1",
        port=0,
        proxies=Proxies(header, networks(PRIVATE)),
    )
    await behind.start()
    url = teller.url.replace(str(teller.webhooks.port), str(behind.port))
    thing = {"id": made["id"], "status": "succeeded", "paid": True}
    body = {"type": "notification", "event": "payment.succeeded", "object": thing}

    got = [
        await teller.post(json.dumps(body).encode(), headers={"X-Real-IP": address}, url=url)
        for address in ("198.51.100.7", "77.75.156.11")
    ]
    await behind.stop()

    assert got == statuses
    assert await available(teller) == (350 if 200 in statuses else 20)


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


async def test_a_part_given_back_by_hand_takes_its_share_once_and_the_rest_can_follow(teller):
    charge_id = await bought(teller)
    price = teller.price[0]
    before = await teller.ids()

    refund = await teller.control.refund(charge_id, amount="50.00")
    sent = await teller.control.wait_webhook(refund["id"])
    await teller.control.resend(sent["id"])

    told, alarm = await teller.events_since(before)
    assert (alarm.code, alarm.detail) == (
        "statement_differs",
        f"5000 RUB of {charge_id} went back",
    )
    assert (told.amount_minor, told.left_minor, told.charged_back) == (5_000, price - 5_000, False)
    assert told.taken_credits == share(300, 5_000, price) + share(30, 5_000, price)
    assert await available(teller) == 350 - told.taken_credits
    charge = await teller.cashier.charge(charge_id, YOOKASSA)
    assert (charge.state, charge.refunded_minor) == ("paid", 5_000)

    await teller.cashier.refund(charge_id, provider=YOOKASSA)
    (rest,) = await teller.work(3)

    assert (rest.amount_minor, rest.left_minor) == (price - 5_000, 0)
    assert rest.taken_credits + told.taken_credits == 330
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "refunded"
    assert await available(teller) == 20
    assert await books_are_broken(teller) == []


async def test_parts_are_given_back_until_nothing_is_left(teller):
    charge_id = await bought(teller)
    price = teller.price[0]
    taken = []

    async def give(amount):
        rejected = await teller.cashier.refund(charge_id, provider=YOOKASSA, amount_minor=amount)
        told = await teller.work(3)
        taken.extend(each.taken_credits for each in told)
        assert await books_are_broken(teller) == []
        return [each.code for each in rejected], await available(teller)

    assert await give(price + 1) == (["wrong_amount"], 350)
    assert await give(0) == (["wrong_amount"], 350)
    assert await give(10_000) == ([], 350 - sum(taken))
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "paid"
    assert await give(price - 9_999) == (["wrong_amount"], 350 - sum(taken))
    assert await give(101) == ([], 350 - sum(taken))
    # Told by webhooks as well, they are the same refunds.
    for refund in await teller.control.refunds():
        await teller.control.wait_webhook(refund["id"])
    assert await give(price - 10_101) == ([], 20)
    assert await give(1) == (["already_refunded"], 20)

    assert sum(taken) == 330
    assert len(await teller.control.refunds()) == 3
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "refunded"


async def test_a_refused_part_gives_its_credits_again_and_no_others(teller):
    charge_id = await bought(teller)
    await teller.cashier.refund(charge_id, provider=YOOKASSA, amount_minor=10_000)
    (first,) = await teller.work()
    await teller.cashier.adjust(-(await available(teller)))
    await teller.control.fault("refund_canceled", times=1, reason="insufficient_funds")

    await teller.cashier.refund(charge_id, provider=YOOKASSA, amount_minor=10_000)
    owed = (await teller.cashier.account()).debt
    (refused,) = await teller.work()

    account = await teller.cashier.account()
    charge = await teller.cashier.charge(charge_id, YOOKASSA)
    assert (owed, refused.code) == (first.taken_credits, "insufficient_funds")
    assert (account.available, account.debt) == (0, 0)
    assert (charge.state, charge.refunded_minor, charge.refunding_minor) == ("paid", 10_000, 0)
    assert charge.taken_credits == first.taken_credits
    assert await books_are_broken(teller) == []


async def test_a_charge_back_after_a_part_takes_the_rest(teller):
    charge_id = await bought(teller)
    await teller.cashier.refund(charge_id, provider=YOOKASSA, amount_minor=10_000)
    (first,) = await teller.work()
    before = await teller.ids()

    left = f"{(teller.price[0] - 10_000) / 100:.2f}"
    refund = await teller.control.refund(charge_id, amount=left)
    await teller.control.wait_webhook(refund["id"])

    told = {type(each).__name__: each for each in await teller.events_since(before)}
    assert told["ChargeRefunded"].taken_credits == 330 - first.taken_credits
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "charged_back"
    assert await available(teller) == 20
    assert await books_are_broken(teller) == []


async def test_a_refund_of_ours_is_no_charge_back(teller):
    charge_id = await bought(teller)

    await teller.cashier.refund(charge_id, provider=YOOKASSA)
    (told,) = await teller.work()
    (refund,) = await teller.control.refunds()
    await teller.control.wait_webhook(refund["id"])

    assert not told.charged_back
    assert (await teller.cashier.charge(charge_id, YOOKASSA)).state == "refunded"
