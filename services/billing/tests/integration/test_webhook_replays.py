"""Every webhook of a provider replayed in any order from four processes: one credit each."""

import asyncio
import json
import random
import sys
from base64 import b64encode
from collections import Counter
from datetime import timedelta
from pathlib import Path

import asyncpg

from billing.main import MIGRATIONS, SCHEMA
from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.migrations import migrate
from chassis.testing import drain
from contracts import billing, payments
from contracts.envelope import Headers
from contracts.payments import CRYPTO_PAY
from devstack.testing import free_port, running_service
from simulators.crypto_pay.testing import (
    SIGNATURE_HEADER,
    ControlClient,
    CryptoPaySimulator,
    WebhookReceiver,
)

CATALOGUE = Path(__file__).parents[4] / "catalogue"
TOKEN = "777:AA-token-of-a-test"
SECRET = "nobody-guesses-this-segment"
PEOPLE = 10
INVOICES_EACH = 2
CALLERS = 4
TIMES = 5
TRIAL, BOUGHT = 20, 330
CALLER = """
import json, sys, urllib.error, urllib.request
from base64 import b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

given = json.loads(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()

def call(webhook):
    body, headers = b64decode(webhook[0]), {"content-type": "application/json", **webhook[1]}
    request = urllib.request.Request(given["url"], body, headers)
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code

with ThreadPoolExecutor(4) as pool:
    print(json.dumps(Counter(pool.map(call, given["webhooks"]))), flush=True)
"""


async def recorded(broker, books, control, receiver):
    """Bodies and signatures as Crypto Pay sent them for paid invoices billing knows nothing of."""
    for number in range(PEOPLE * INVOICES_EACH):
        user_id = number % PEOPLE + 1
        await send(broker, billing.OpenAccount(user_id=user_id))
        command = payments.CreatePayment(
            payment_id=new_id(),
            user_id=user_id,
            provider=CRYPTO_PAY,
            product_id="credits_300",
            amount_minor=549,
            currency="USD",
        )
        await send(broker, command)

    async def made():
        query = "SELECT count(*) FROM payments WHERE state = 'pending'"
        return await books.fetchval(query) == PEOPLE * INVOICES_EACH

    await drain(made, what="every invoice is made")
    for invoice in await control.invoices(status="active"):
        await control.pay(invoice["invoice_id"])
    return await receiver.until(PEOPLE * INVOICES_EACH)


async def send(broker, command):
    headers = Headers(id=new_id(), sent_at=SystemClock().now())
    await broker.publish(command.subject, command.encode(), headers.to_wire())


async def replay(url, webhooks):
    """Four processes, each with every webhook five times in an order of its own, at once."""
    script = (sys.executable, "-c", CALLER)
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    callers = [await asyncio.create_subprocess_exec(*script, **pipes) for _ in range(CALLERS)]
    try:
        for seed, caller in enumerate(callers):
            own = webhooks * TIMES
            random.Random(seed).shuffle(own)
            caller.stdin.write(json.dumps({"url": url, "webhooks": own}).encode() + b"\n")
            assert await caller.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*(caller.communicate(b"go\n") for caller in callers))
    finally:
        for caller in callers:
            if caller.returncode is None:
                caller.kill()
                await caller.wait()
    statuses = Counter()
    for output, _ in answers:
        statuses.update(json.loads(output))
    return statuses


async def test_webhooks_replayed_in_any_order_from_four_processes_credit_once(
    database_dsn, nats_url, monkeypatch
):
    port = free_port()
    monkeypatch.setenv("BILLING_DATABASE_URL", database_dsn)
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=AssertionError)
    await bootstrap.apply(broker)
    books = await asyncpg.connect(database_dsn, server_settings={"search_path": SCHEMA})
    async with (
        WebhookReceiver(TOKEN) as receiver,
        CryptoPaySimulator(token=TOKEN, time_scale=0, webhook_url=receiver.url) as simulator,
    ):
        settings = {
            "database_url": database_dsn,
            "nats_url": nats_url,
            "catalogue_dir": CATALOGUE,
            "crypto_pay_token": TOKEN,
            "crypto_pay_api_url": simulator.url,
            "webhook_port": port,
            "webhook_secret": SECRET,
        }
        async with running_service("billing", settings), ControlClient(simulator.url) as control:
            taken = await recorded(broker, books, control, receiver)
            webhooks = [
                (b64encode(each.body).decode(), {SIGNATURE_HEADER: each.signature})
                for each in taken
            ]
            url = f"http://127.0.0.1:{port}/pay/{CRYPTO_PAY}/{SECRET}"

            statuses = await replay(url, webhooks)
            # Asked for the invoices as well, it learns nothing new.
            await send(broker, payments.WatchPayments(due_at=SystemClock().now()))

            async def watched():
                return await books.fetchval("SELECT reconciled_at FROM providers")

            await drain(watched, within=timedelta(seconds=20), what="the statement is compared")
            audit = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "billing", "audit"), stdout=asyncio.subprocess.PIPE
            )
            report, _ = await audit.communicate()
        charged = await books.fetch("SELECT charge_id, count(*) FROM charges GROUP BY 1")
        balances = await books.fetch("SELECT user_id, available FROM accounts")
        credited = await books.fetchval(
            "SELECT count(*) FROM outbox WHERE subject = $1", payments.PaymentCredited.subject
        )
        granted = await books.fetchval("SELECT count(*) FROM grants WHERE reason LIKE 'payment%'")
    await books.close()
    await broker.close()

    invoices = PEOPLE * INVOICES_EACH
    assert statuses == {"200": CALLERS * TIMES * invoices}
    assert {int(charge_id) for charge_id, _ in charged} == {each.invoice_id for each in taken}
    assert {count for _, count in charged} == {1}
    assert (credited, granted) == (invoices, 2 * invoices)
    assert dict(balances) == dict.fromkeys(range(1, PEOPLE + 1), TRIAL + INVOICES_EACH * BOUGHT)
    assert audit.returncode == 0, report.decode()
