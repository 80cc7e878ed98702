"""Invoices whose making nobody saw the end of: one is made, and no money on another is unknown."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest

from billing.adapters.providers import crypto_pay
from billing.adapters.providers.crypto_pay import CryptoPay
from contracts.payments import CRYPTO_PAY
from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator, eventually

TOKEN = "777:AA-token-of-a-test"
LATE_SECONDS = 600
"""By the simulator's clock: a call of which nobody knows is carried out when a test says so."""


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


async def late_call(teller):
    """The next call that makes an invoice is cut off, and carried out LATE_SECONDS later."""
    await teller.control.fault("late_call", method="createInvoice", seconds=LATE_SECONDS, times=1)


async def test_a_call_that_hangs_is_given_up_and_its_invoice_is_looked_for(teller, monkeypatch):
    monkeypatch.setattr(crypto_pay, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    await teller.control.fault("hang")
    await teller.ask()

    assert await teller.work() == []

    assert await teller.cashier.rows("SELECT state, ambiguous FROM effects") == [("due", True)]


async def test_a_call_that_is_cut_after_it_made_the_invoice_makes_no_second_one(teller):
    await teller.control.fault("lost_answer", times=1)
    payment_id = await teller.ask()

    (created,) = await teller.work(2)

    (made,) = await teller.control.invoices(payload=str(payment_id))
    assert (created.payment_id, created.pay_url) == (payment_id, made["bot_invoice_url"])


async def test_a_process_that_dies_while_it_waits_leaves_one_invoice(teller):
    """Killed in flight: the lease ends, and whoever claims the row looks before it calls."""
    await teller.control.fault("hang", method="createInvoice", after=True, times=1)
    payment_id = await teller.ask()
    dying = asyncio.ensure_future(teller.worker.work_once())
    await teller.control.wait_invoice(str(payment_id))
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying
    assert await teller.work() == [], "the lease still holds"

    await teller.cashier.later(seconds=61)
    (created,) = await teller.work()

    (made,) = await teller.control.invoices(payload=str(payment_id))
    assert created.pay_url == made["bot_invoice_url"]


async def test_an_invoice_that_is_made_after_the_call_was_given_up_stays_the_only_one(teller):
    await late_call(teller)
    payment_id = await teller.ask()
    early = await teller.work(2)
    assert await teller.control.invoices(payload=str(payment_id)) == []

    await teller.control.advance(LATE_SECONDS)
    await teller.control.wait_invoice(str(payment_id))
    await teller.cashier.later(seconds=10)
    (created,) = await teller.work(2)

    (made,) = await teller.control.invoices(payload=str(payment_id))
    assert (early, created.pay_url) == ([], made["bot_invoice_url"])


async def test_what_is_paid_on_an_invoice_that_was_given_up_is_credited(teller):
    await teller.reconciled()
    await teller.control.webhook(enabled=False)
    await late_call(teller)
    await teller.control.fault("500", method="createInvoice", times=1)
    payment_id = await teller.ask()
    (failed,) = await teller.work(12)
    assert failed.code == "provider_failed"
    await teller.control.advance(LATE_SECONDS)
    orphan = await teller.control.wait_invoice(str(payment_id))
    await teller.control.pay(orphan["invoice_id"])

    (credited,) = await teller.watch()

    assert (credited.payment_id, credited.credits, credited.late) == (payment_id, 330, True)
    payment = await teller.cashier.payment(payment_id)
    assert (payment.state, payment.provider_ref) == ("paid", str(orphan["invoice_id"]))


async def test_of_two_invoices_of_one_payment_the_second_payment_waits_for_a_person(teller):
    """Should there be two after all: both carry our id, so no money is unknown."""
    await late_call(teller)
    payment_id = await teller.ask()
    (created,) = await teller.work(4)
    await teller.control.advance(LATE_SECONDS)
    first, second = await eventually(
        lambda: teller.control.invoices(payload=str(payment_id)), lambda found: len(found) == 2
    )

    for each in (second, first):
        await teller.control.pay(each["invoice_id"])
        await teller.control.wait_webhook(each["invoice_id"])

    states = await teller.cashier.rows("SELECT state, reason FROM charges ORDER BY state")
    assert created.payment_id == payment_id
    assert states == [("paid", ""), ("review", "already_paid")]
    assert (await teller.cashier.account()).available == 350


async def test_a_provider_nobody_can_connect_to_is_not_waited_for(teller):
    await teller.provider.close()
    teller.provider._base_url = "http://127.0.0.1:1"

    await teller.ask()
    (failed,) = await teller.work(4)

    assert failed.code == "provider_failed"
