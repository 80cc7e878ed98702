"""What providers say of a period beside our charges; asking changes nothing."""

from datetime import timedelta

import pytest

from billing.adapters.postgres_ledgers import PostgresLedgers
from billing.adapters.providers.crypto_pay import CryptoPay
from billing.adapters.providers.yookassa import Shop, YooKassa
from billing.domain.errors import InvalidError
from billing.handlers.reconcile import reconcile
from contracts import gateway
from contracts.operators import Reconcile
from contracts.payments import CRYPTO_PAY, STARS, YOOKASSA
from simulators.crypto_pay import testing as crypto
from simulators.yookassa import testing as yoo

USER = 7
TOKEN = "777:AA-token-of-a-test"


async def compared(cashier, provider, providers=None, *, days=2):
    request = Reconcile(
        provider=provider,
        since=cashier.now - timedelta(days=days),
        until=cashier.now + timedelta(days=1),
    )
    ledgers = PostgresLedgers(cashier.desk.database)
    found = await reconcile(request, ledgers=ledgers, on=cashier.till.on, providers=providers or {})
    (one,) = found.providers
    assert one.provider == provider
    return one


def kinds(found):
    return {each.charge_id: each.kind for each in found.differences}


def line(cashier, created, charge_id, amount=275, at=None):
    return gateway.StarsTransaction(
        charge_id=charge_id,
        amount_minor=amount,
        at=at or cashier.now,
        user_id=USER,
        invoice_payload=created.invoice_payload,
    )


async def forget(cashier, charge_id):
    """A row somebody deleted, or that was never written."""
    async with cashier.desk.database.read() as connection:
        await connection.execute("DELETE FROM charges WHERE charge_id = $1", charge_id)


async def change(cashier, charge_id, assignment):
    async with cashier.desk.database.read() as connection:
        query = f"UPDATE charges SET {assignment} WHERE charge_id = $1"
        await connection.execute(query, charge_id)


# --- Stars: their statement comes page by page and is kept -----------------------------------


async def test_stars_agree_where_the_statement_says_what_the_chat_said(cashier):
    made = {name: await cashier.invoice() for name in ("a", "b")}
    for name, created in made.items():
        await cashier.pay(created, name)
    await cashier.refund("b")
    await cashier.refunded("b")

    await cashier.later(minutes=20)
    when = cashier.now - timedelta(minutes=20)
    told = [line(cashier, created, name, at=when) for name, created in made.items()]
    await cashier.statement(*told, line(cashier, made["b"], "b", -275, at=when))
    before = await cashier.rows("SELECT count(*) FROM provider_events")
    found = await compared(cashier, STARS)

    assert (found.matched, found.matched_minor) == (2, {"XTR": 550})
    assert (found.refunds, found.refunded_minor) == (1, {"XTR": 275})
    assert (found.differences, found.code) == ((), "")
    assert found.read_until == cashier.now - timedelta(minutes=10)
    assert await cashier.rows("SELECT count(*) FROM provider_events") == before


async def test_each_way_stars_can_differ_is_named(cashier):
    names = ("gone", "unstated", "amount", "back_here", "back_there")
    made = {}
    for name in names:
        made[name] = await cashier.invoice("credits_100", 100)
        await cashier.pay(made[name], name)
    when = cashier.now
    await cashier.later(minutes=20)
    stated = [n for n in names if n != "unstated"]
    lines = [line(cashier, made[name], name, 100, at=when) for name in stated]
    await cashier.statement(*lines, line(cashier, made["back_there"], "back_there", -100, at=when))
    await forget(cashier, "gone")
    await change(cashier, "amount", "amount_minor = 99")
    await change(cashier, "back_here", "state = 'refunded'")
    await change(cashier, "back_there", "state = 'paid'")

    found = await compared(cashier, STARS)

    assert kinds(found) == {
        "gone": "missing_with_us",
        "unstated": "missing_with_provider",
        "amount": "other_amount",
        "back_here": "refund_missing_with_provider",
        "back_there": "refund_missing_with_us",
    }
    by_id = {each.charge_id: each for each in found.differences}
    assert (by_id["amount"].ours_minor, by_id["amount"].theirs_minor) == (99, 100)
    assert (by_id["gone"].ours_minor, by_id["gone"].theirs_minor) == (None, 100)
    assert (by_id["unstated"].ours_minor, by_id["unstated"].theirs_minor) == (100, None)
    assert by_id["unstated"].state == "paid"


async def test_what_was_paid_after_the_last_read_is_not_judged(cashier):
    early = await cashier.invoice()
    await cashier.pay(early, "early")
    await cashier.later(minutes=20)
    await cashier.statement(line(cashier, early, "early", at=cashier.now - timedelta(minutes=20)))
    await cashier.bought(charge_id="late")

    assert kinds(await compared(cashier, STARS)) == {}


async def test_without_a_statement_nothing_is_said_to_agree(cashier):
    await cashier.bought()

    found = await compared(cashier, STARS)

    assert (found.code, found.matched) == ("statement_unread", 0)


# --- providers that are asked ----------------------------------------------------------------


@pytest.fixture
async def rubles(cashier, teller_of):
    async with yoo.YooKassaSimulator(time_scale=0) as simulator:
        async with yoo.ControlClient(simulator.url) as control:
            shop = Shop(
                simulator.shop_id, simulator.secret, "https://t.me/b", base_url=simulator.api_url
            )
            provider = YooKassa(shop, clock=cashier.desk.clock, webhooks=True)
            price = (cashier.till.offers.packs["credits_300"].prices["RUB"], "RUB")
            yield await teller_of(provider, control, price=price, find_made=control.wait_payment)


async def paid(teller):
    _, made = await teller.invoice()
    await teller.control.pay(made["id"])
    await teller.control.wait_webhook(made["id"])
    return made["id"]


async def test_yookassa_is_asked_and_its_refunds_are_compared(rubles):
    agreed, gone, part, back = [await paid(rubles) for _ in range(4)]
    await forget(rubles.cashier, gone)
    await rubles.control.webhook(enabled=False)
    await rubles.control.refund(part, amount="50.00")
    await rubles.control.charge_back(back)

    found = await compared(rubles.cashier, YOOKASSA, {YOOKASSA: rubles.provider})

    assert kinds(found) == {
        gone: "missing_with_us",
        part: "partly_refunded",
        back: "refund_missing_with_us",
    }
    (partly,) = (each for each in found.differences if each.charge_id == part)
    assert (partly.theirs_minor, partly.ours_minor) == (5_000, rubles.price[0])
    assert (found.matched, found.read_until) == (3, None)
    assert agreed not in kinds(found)


async def test_a_provider_that_does_not_answer_is_named_and_nothing_is_said_to_agree(rubles):
    await paid(rubles)
    for kind, code in (("401", "token_refused"), ("500", "provider_failed")):
        await rubles.control.fault(kind, times=1)

        found = await compared(rubles.cashier, YOOKASSA, {YOOKASSA: rubles.provider})

        assert (found.code, found.matched, found.differences) == (code, 0, ())


async def test_crypto_pay_says_nothing_of_what_went_back(cashier, teller_of):
    async with crypto.CryptoPaySimulator(token=TOKEN, time_scale=0) as simulator:
        async with crypto.ControlClient(simulator.url) as control:
            provider = CryptoPay(
                token=TOKEN,
                base_url=simulator.url,
                tender=cashier.till.offers.tenders[CRYPTO_PAY],
                clock=cashier.desk.clock,
                webhooks=True,
            )
            price = (549, "USD")
            teller = await teller_of(provider, control, price=price, find_made=control.wait_invoice)
            ids = []
            for _ in range(2):
                _, made = await teller.invoice()
                await control.pay(made["invoice_id"])
                await control.wait_webhook(made["invoice_id"])
                ids.append(str(made["invoice_id"]))
            await change(cashier, ids[0], "state = 'refunded'")
            await change(cashier, ids[1], "currency = 'EUR'")

            found = await compared(cashier, CRYPTO_PAY, {CRYPTO_PAY: provider})

    assert not found.states_refunds
    assert (found.matched, kinds(found)) == (1, {ids[1]: "other_amount"})


async def test_a_period_or_provider_that_makes_no_sense_is_refused(cashier):
    now = cashier.now
    ledgers = PostgresLedgers(cashier.desk.database)
    for since, until, provider in (
        (now, now, ""),
        (now, now - timedelta(days=1), ""),
        (now - timedelta(days=401), now, ""),
        (now - timedelta(days=1), now, "paypal"),
        (now.replace(tzinfo=None) - timedelta(days=1), now, ""),
    ):
        request = Reconcile(provider=provider, since=since, until=until)
        with pytest.raises(InvalidError):
            await reconcile(request, ledgers=ledgers, on=cashier.till.on, providers={})
