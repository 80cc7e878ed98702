"""Stars from the tap to the refund, over the simulated Telegram; the test speaks for billing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from chassis import rpc
from chassis.clock import new_id
from chassis.testing import drain
from contracts.gateway import (
    EditStarsSubscription,
    ReadStarsStatement,
    RefundStars,
    StarsPaid,
    StarsRefundRecorded,
    StarsStatementRead,
    StarsSubscriptionEdited,
)
from contracts.payments import (
    CheckPreCheckout,
    CreatePayment,
    PaymentCreated,
    PaymentCredited,
    PreCheckoutAnswer,
)
from gateway.domain.callbacks import pack
from gateway.domain.purchase_buttons import ChoosePack, ChoosePlan
from simulators.telegram.testing import button

pytestmark = pytest.mark.asyncio(loop_scope="module")
STARS = 90


def words(message):
    return message["text"] or ""


async def written(platform, kind, person):
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", kind.subject)
    found = [kind.decode(row["body"]) for row in rows]
    return [each for each in found if each.user_id == person]


async def only(platform, kind, person):
    await drain(lambda: written(platform, kind, person), what=kind.__name__)
    (found,) = await written(platform, kind, person)
    return found


async def asked_to_pay(platform, billing, person, choice, **changes):
    """From a pack's or plan's button to the invoice; returns the command and what is shown."""
    people = platform.people
    await people.say(person, "/help")
    some = await people.wait_message(person, lambda each: "How it works" in words(each))
    await people.press(person, some["message_id"], pack(choice))
    shown = await people.wait_message(person, lambda each: "like to pay" in words(each))
    await people.press(person, shown["message_id"], button(shown, "Telegram Stars"))
    command = await only(platform, CreatePayment, person)
    payload = f"sealed:{command.payment_id}"
    billing.payers[payload] = person
    fields = {
        "provider": "stars",
        "product": "pack",
        "product_id": command.product_id,
        "credits": 100,
        "amount_minor": command.amount_minor,
        "currency": command.currency,
        "invoice_payload": payload,
    }
    await platform.publish(
        PaymentCreated(payment_id=command.payment_id, user_id=person, **{**fields, **changes})
    )
    return command, shown


async def invoice_of(platform, billing, person):
    command, _ = await asked_to_pay(platform, billing, person, ChoosePack("credits_100"))
    message = await platform.people.wait_message(person, lambda each: "invoice" in each)
    return command, message


async def link_of_nobody(gateway):
    """An invoice that billing never made."""
    return await gateway.telegram.call(
        "createInvoiceLink",
        {
            "title": "t",
            "description": "d",
            "payload": "p",
            "currency": "XTR",
            "prices": [{"label": "l", "amount": STARS}],
        },
    )


async def test_a_pack_is_paid_with_stars(platform, person, gateway, speaking):
    people = platform.people
    command, message = await invoice_of(platform, speaking, person)

    assert message["invoice"]["total_amount"] == STARS
    assert message["invoice"]["title"] == "100 credits"
    assert message["invoice"]["start_parameter"]
    outcome = await people.pay(person, message_id=message["message_id"])

    assert outcome["status"] == "paid"
    paid = await only(platform, StarsPaid, person)
    assert paid.charge_id == outcome["telegram_payment_charge_id"]
    assert paid.invoice_payload == f"sealed:{command.payment_id}"
    assert (paid.amount_minor, paid.currency) == (STARS, "XTR")
    await platform.publish(
        PaymentCredited(
            payment_id=command.payment_id,
            charge_id=paid.charge_id,
            user_id=person,
            provider="stars",
            product="pack",
            product_id="credits_100",
            credits=100,
            amount_minor=STARS,
            currency="XTR",
            available_credits=120,
        )
    )
    await people.wait_message(person, lambda each: "You have 120 credits" in words(each))


async def test_a_pre_checkout_never_goes_through_the_stream(
    platform, person, gateway, speaking, broker
):
    _, message = await invoice_of(platform, speaking, person)

    outcome = await platform.people.pay(person, message_id=message["message_id"])

    await only(platform, StarsPaid, person)
    handled = "SELECT count(*) FROM updates WHERE update_id = $1"
    assert await platform.value(handled, outcome["update_id"]) == 1
    assert await platform.value(handled, outcome["pre_checkout_update_id"]) == 0


async def test_a_payment_told_twice_is_one_event(platform, person, gateway, speaking):
    _, message = await invoice_of(platform, speaking, person)
    await platform.people.fault("duplicate_updates", times=5)

    outcome = await platform.people.pay(person, message_id=message["message_id"])
    await platform.people.say(person, "/balance")
    await platform.people.wait_message(person, lambda each: "Your balance" in words(each))

    assert outcome["status"] == "paid"
    await only(platform, StarsPaid, person)


async def test_with_billing_silent_nobody_is_charged(platform, person, gateway, billing):
    """Refused well before Telegram's ten seconds, in the language of the person."""
    await platform.people.user(person, language_code="ru")
    link = await link_of_nobody(gateway)

    outcome = await platform.people.pay(person, link=link)

    assert outcome["status"] == "refused"  # after ten seconds it would be a timeout
    assert outcome["error_message"].startswith("Магазин сейчас не отвечает")
    assert await written(platform, StarsPaid, person) == []


async def test_a_late_yes_is_a_no(platform, person, gateway, billing, broker):
    """Billing that hangs is like billing that is away: the answer does not wait for it."""
    asked, released = asyncio.Event(), asyncio.Event()

    async def slowly(_request: CheckPreCheckout) -> PreCheckoutAnswer:
        asked.set()
        await released.wait()
        return PreCheckoutAnswer(ok=True)

    hanging = await rpc.answer(broker, CheckPreCheckout, slowly)
    try:
        link = await link_of_nobody(gateway)
        outcome = await platform.people.pay(person, link=link)
    finally:
        released.set()
        await hanging.stop()

    assert asked.is_set()
    assert outcome["status"] == "refused"


async def test_updates_do_not_wait_for_a_silent_billing(platform, person, gateway, billing):
    link = await link_of_nobody(gateway)
    paying = asyncio.ensure_future(platform.people.pay(person, link=link))
    await platform.people.say(person, "/help")

    await platform.people.wait_message(
        person, lambda each: "How it works" in words(each), timeout=1.0
    )

    assert not paying.done()
    assert (await paying)["status"] == "refused"


async def test_a_forwarded_invoice_cannot_be_paid_by_others(platform, person, gateway, speaking):
    _, message = await invoice_of(platform, speaking, person)
    stranger = person + 100_000
    await platform.people.user(stranger, first_name="B", language_code="en", started=True)

    outcome = await platform.people.pay(stranger, chat_id=person, message_id=message["message_id"])

    assert outcome["status"] == "refused"
    assert "belongs to somebody else" in outcome["error_message"]
    assert speaking.asked[-1].user_id == stranger


async def subscribed(platform, billing, person):
    await asked_to_pay(
        platform,
        billing,
        person,
        ChoosePlan("vip_30"),
        product="plan",
        credits=0,
        subscription_days=30,
    )
    shown = await platform.people.wait_message(
        person, lambda each: "Telegram renews it every 30 days" in words(each)
    )
    (link,) = [each["url"] for row in shown["buttons"] for each in row if each.get("url")]
    return await platform.people.pay(person, link=link)


async def test_a_subscription_is_opened_by_a_link_and_renews(platform, person, gateway, speaking):
    first = await subscribed(platform, speaking, person)
    charge = first["telegram_payment_charge_id"]
    renewal = await platform.people.call("POST", f"/users/{person}/charges/{charge}/renew")

    async def both():
        found = await written(platform, StarsPaid, person)
        return found if len(found) == 2 else None

    await drain(both, what="both months")
    begun, renewed = sorted(await both(), key=lambda each: not each.first_recurring)
    assert (begun.recurring, begun.first_recurring, begun.charge_id) == (True, True, charge)
    assert (renewed.recurring, renewed.first_recurring) == (True, False)
    assert renewed.charge_id == renewal["telegram_payment_charge_id"] != charge
    assert renewed.invoice_payload == begun.invoice_payload
    assert begun.subscription_until - begun.paid_at >= timedelta(days=29)


async def test_renewals_are_stopped_and_resumed_at_telegram(platform, person, gateway, speaking):
    charge = (await subscribed(platform, speaking, person))["telegram_payment_charge_id"]

    for cancelled in (True, False):
        await platform.publish(
            EditStarsSubscription(user_id=person, charge_id=charge, cancelled=cancelled)
        )

        async def edited(wanted=cancelled):
            found = await written(platform, StarsSubscriptionEdited, person)
            return [each for each in found if each.cancelled == wanted]

        await drain(edited, what="it was edited")
        (said,) = await edited()
        assert said.code == ""
        (known,) = (await platform.people.call("GET", f"/users/{person}/charges"))["charges"]
        assert known["canceled"] is cancelled


@pytest.mark.parametrize(
    ("fault", "ended_as"), [("429", "overtaken"), ("500", "perhaps_overtaken")]
)
async def test_renewals_stay_as_they_were_asked_for_last(
    platform, person, gateway, speaking, fault, ended_as
):
    """A word that Telegram kept waiting, and one that NATS brought late, change nothing more."""
    charge = (await subscribed(platform, speaking, person))["telegram_payment_charge_id"]
    late = new_id()
    method = "editUserStarSubscription"
    await platform.people.fault(fault, method=method, times=1, retry_after=2)

    def edit(*, cancelled):
        return EditStarsSubscription(user_id=person, charge_id=charge, cancelled=cancelled)

    async def ended(count):
        rows = await platform.rows(
            "SELECT state, last_reason FROM effects WHERE about LIKE $1 ORDER BY key",
            f"%:{charge}",
        )
        return [tuple(row) for row in rows if row["state"] == "done"][: count + 1]

    await platform.publish(edit(cancelled=False))
    query = "SELECT count(*) FROM effects WHERE about LIKE $1 AND attempts > 0"
    await drain(lambda: platform.value(query, f"%:{charge}"), what="Telegram kept it waiting")
    await platform.publish(edit(cancelled=True))
    await platform.publish(edit(cancelled=False), id=late)

    async def both():
        return len(await ended(2)) == 2

    await drain(both, what="both effects ended")
    assert await ended(2) == [("done", ended_as), ("done", "")]
    (known,) = (await platform.people.call("GET", f"/users/{person}/charges"))["charges"]
    assert known["canceled"] is True


async def test_a_refund_is_made_once_and_recorded(platform, person, gateway, speaking):
    """Telegram says it in the chat as well: the same fact twice, for billing to know as one."""
    _, message = await invoice_of(platform, speaking, person)
    outcome = await platform.people.pay(person, message_id=message["message_id"])
    charge = outcome["telegram_payment_charge_id"]

    async def recorded(count):
        found = await written(platform, StarsRefundRecorded, person)
        return found if len(found) == count else None

    await platform.publish(RefundStars(user_id=person, charge_id=charge))
    await drain(lambda: recorded(2), what="the answer, and the service message")
    await platform.publish(RefundStars(user_id=person, charge_id=charge))
    await drain(lambda: recorded(3), what="what was given back already is done")

    assert set(await recorded(3)) == {StarsRefundRecorded(user_id=person, charge_id=charge)}


async def test_a_refund_outlives_a_429_and_an_outage(platform, person, gateway, speaking):
    _, message = await invoice_of(platform, speaking, person)
    outcome = await platform.people.pay(person, message_id=message["message_id"])
    charge = outcome["telegram_payment_charge_id"]
    for kind in ("429", "502"):
        await platform.people.fault(kind, method="refundStarPayment", times=1)

    await platform.publish(RefundStars(user_id=person, charge_id=charge))

    await drain(lambda: written(platform, StarsRefundRecorded, person), what="it was refunded")
    assert {each.code for each in await written(platform, StarsRefundRecorded, person)} == {""}


async def test_a_refund_that_telegram_refuses_says_why(platform, person, gateway):
    await platform.publish(RefundStars(user_id=person, charge_id="stx-of-nobody"))

    refused = await only(platform, StarsRefundRecorded, person)

    assert refused.code == "charge_not_found"


async def test_the_statement_is_read_on_from_where_it_was(platform, person, gateway, speaking):
    async def lines():
        rows = await platform.rows(
            "SELECT body FROM outbox WHERE subject = $1 ORDER BY id", StarsStatementRead.subject
        )
        events = [StarsStatementRead.decode(row["body"]) for row in rows]
        return [line for event in events for line in event.transactions if line.user_id == person]

    _, message = await invoice_of(platform, speaking, person)
    outcome = await platform.people.pay(person, message_id=message["message_id"])
    charge = outcome["telegram_payment_charge_id"]
    await platform.publish(ReadStarsStatement(due_at=datetime.now(UTC)))
    await drain(lines, what="the sale is read")
    (sale,) = await lines()
    assert (sale.charge_id, sale.amount_minor) == (charge, STARS)
    assert sale.invoice_payload.startswith("sealed:")

    await platform.publish(RefundStars(user_id=person, charge_id=charge))
    await only_two(platform, person)
    await platform.publish(ReadStarsStatement(due_at=datetime.now(UTC)))

    async def went_back():
        return [line for line in await lines() if line.amount_minor == -STARS]

    await drain(went_back, what="the refund is read")
    assert (await went_back())[0].charge_id == charge


async def only_two(platform, person):
    async def both():
        found = await written(platform, StarsRefundRecorded, person)
        return found if len(found) == 2 else None

    await drain(both, what="the refund is recorded")
