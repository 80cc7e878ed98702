"""The endpoint on the loop the service runs on, whose transports are no asyncio.Transport."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from billing.adapters.providers.crypto_pay import CryptoPay
from billing.webhooks import PaymentWebhooks
from chassis.rates import Rate
from contracts.payments import CRYPTO_PAY
from simulators.crypto_pay.testing import (
    SIGNATURE_HEADER,
    ControlClient,
    CryptoPaySimulator,
    sign,
)

TOKEN = "777:AA-token-of-a-test"
SECRET = "nobody-guesses-this-segment"
READ_SECONDS = 0.3
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy.")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_policy(request):
    return request.param()


@pytest.fixture
async def teller(cashier, teller_of, monkeypatch):
    monkeypatch.setattr("chassis.http_edge.READ_SECONDS_MAX", READ_SECONDS)
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


async def paid_webhook(teller):
    """One that was not delivered: its body and headers."""
    _, made = await teller.invoice()
    await teller.control.fault("lost", times=1)
    await teller.control.pay(made["invoice_id"])
    paid = await teller.control.invoice(made["invoice_id"])
    body = json.dumps({"update_type": "invoice_paid", "payload": paid}).encode()
    return body, {SIGNATURE_HEADER: sign(TOKEN, body)}


@asynccontextmanager
async def accounts_busy(teller):
    """Somebody else holds every account for a while, so that nothing can be credited."""
    async with teller.cashier.desk.database.read() as connection, connection.transaction():
        await connection.execute("SELECT FROM accounts FOR UPDATE")
        yield


async def test_a_body_that_never_ends_is_answered_408(teller):
    reader, writer = await asyncio.open_connection("127.0.0.1", teller.webhooks.port)
    head = (
        f"POST /pay/crypto_pay/{SECRET} HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    writer.write(head.encode())
    answer = asyncio.ensure_future(reader.readline())
    while not answer.done():
        writer.write(b" ")  # each in time, by itself
        await asyncio.wait([answer], timeout=0.1)
    status = answer.result()

    writer.close()
    assert b"408" in status


async def test_headers_that_never_end_are_cut(teller):
    reader, writer = await asyncio.open_connection("127.0.0.1", teller.webhooks.port)
    writer.write(b"POST /pay/crypto_pay/x HTTP/1.1\r\nHost: x\r\n")

    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""

    writer.close()


async def test_what_was_received_whole_is_not_cut_while_it_is_handled(teller):
    body, headers = await paid_webhook(teller)

    async with accounts_busy(teller):
        posted = asyncio.ensure_future(teller.post(body, headers=headers))
        await asyncio.sleep(READ_SECONDS * 3)
        still_waits = not posted.done()

    assert await posted == 200
    assert still_waits
    assert (await teller.cashier.account()).available == 350


async def test_what_cannot_be_handled_in_time_is_to_be_told_again(teller):
    body, headers = await paid_webhook(teller)
    hasty = PaymentWebhooks(
        {CRYPTO_PAY: teller.provider},
        teller.cashier.till,
        teller.outbox,
        secret=SECRET,
        host="127.0.0.1",
        port=0,
        handling_seconds_max=0.2,
    )
    await hasty.start()
    url = teller.url.replace(str(teller.webhooks.port), str(hasty.port))

    async with accounts_busy(teller):
        busy = await teller.post(body, headers=headers, url=url)
    nothing = (await teller.cashier.account()).available
    await hasty.stop()
    later = await teller.post(body, headers=headers)  # to one that gives it as long as it takes

    assert (busy, nothing, later) == (503, 20, 200)
    assert (await teller.cashier.account()).available == 350


async def test_one_address_may_call_so_often_and_is_told_when_to_come_again(teller):
    body, headers = await paid_webhook(teller)
    strict = PaymentWebhooks(
        {CRYPTO_PAY: teller.provider},
        teller.cashier.till,
        teller.outbox,
        secret=SECRET,
        host="127.0.0.1",
        port=0,
        address_rate=Rate(per_second=0.01, burst=2),
    )
    await strict.start()
    url = teller.url.replace(str(teller.webhooks.port), str(strict.port))

    statuses = [await teller.post(body, headers=headers, url=url) for _ in range(3)]
    await strict.stop()

    assert statuses == [200, 200, 429]
    assert (await teller.cashier.account()).available == 350


async def test_who_guesses_the_path_is_slowed_down_and_the_provider_is_not(teller):
    body, headers = await paid_webhook(teller)
    wrong = teller.url.replace(SECRET, "nobody-guesses-this-segmenu")

    guesses = [await teller.post(body, headers=headers, url=wrong) for _ in range(80)]

    assert (guesses[0], guesses[-1]) == (404, 429)
    assert await teller.post(body, headers=headers) == 200
