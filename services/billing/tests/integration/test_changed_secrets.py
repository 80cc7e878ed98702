"""Tokens and the webhooks' secret path change under a running billing: paid is credited once."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
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
    sign,
)

CATALOGUE = Path(__file__).parents[4] / "catalogue"
FIRST, SECOND, STRANGERS = "777:AA-first", "777:AA-second", "778:AA-somebody-elses"
PATH, NEW_PATH = "nobody-guesses-this-segment", "nor-does-anybody-this-one"
OVERLAP_SECONDS = 10
USER, TRIAL, BOUGHT = 1, 20, 330


class Shop:
    """Billing's outside: who orders, who pays, and what stands in the books."""

    def __init__(self, broker, books, session, port):
        self.broker, self.books, self.session = broker, books, session
        self.url = f"http://127.0.0.1:{port}/pay/{CRYPTO_PAY}"

    async def send(self, command):
        headers = Headers(id=new_id(), sent_at=SystemClock().now())
        await self.broker.publish(command.subject, command.encode(), headers.to_wire())

    async def order(self):
        """Ask for an invoice; return how that ended."""
        command = payments.CreatePayment(
            payment_id=new_id(),
            user_id=USER,
            provider=CRYPTO_PAY,
            product_id="credits_300",
            amount_minor=549,
            currency="USD",
        )
        await self.send(command)

        async def ended():
            query = "SELECT state FROM payments WHERE payment_id = $1"
            self.state = await self.books.fetchval(query, command.payment_id)
            return self.state in ("pending", "failed")

        await drain(ended, what="the invoice")
        return self.state

    async def tell(self, webhook, path, token):
        """Tell of a payment as Crypto Pay would with this token; return the answer's status."""
        headers = {"content-type": "application/json", SIGNATURE_HEADER: sign(token, webhook.body)}
        url = f"{self.url}/{path}"
        async with self.session.post(url, data=webhook.body, headers=headers) as answer:
            return answer.status

    async def available(self):
        return await self.books.fetchval("SELECT available FROM accounts WHERE user_id = $1", USER)


async def test_a_token_and_a_path_are_replaced_and_what_was_paid_is_credited_once(
    database_dsn, nats_url, monkeypatch, tmp_path
):
    token, path = tmp_path / "token", tmp_path / "path"
    token.write_text(FIRST)
    path.write_text(PATH)
    monkeypatch.setenv("BILLING_DATABASE_URL", database_dsn)
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=AssertionError)
    await bootstrap.apply(broker)
    books = await asyncpg.connect(database_dsn, server_settings={"search_path": SCHEMA})
    async with (
        WebhookReceiver(FIRST) as receiver,
        CryptoPaySimulator(token=FIRST, time_scale=0, webhook_url=receiver.url) as simulator,
        ControlClient(simulator.url) as control,
        aiohttp.ClientSession() as session,
    ):
        settings = {
            "database_url": database_dsn,
            "nats_url": nats_url,
            "catalogue_dir": CATALOGUE,
            "crypto_pay_token_file": token,
            "crypto_pay_api_url": simulator.url,
            "webhook_port": (port := free_port()),
            "webhook_secret_file": path,
            "secret_overlap": OVERLAP_SECONDS,
        }
        shop = Shop(broker, books, session, port)
        async with running_service("billing", settings):
            await shop.send(billing.OpenAccount(user_id=USER))
            assert [await shop.order(), await shop.order()] == ["pending", "pending"]
            for invoice in await control.invoices(status="active"):
                await control.pay(invoice["invoice_id"])
            late, later = await receiver.until(2)

            simulator._core.options.token = SECOND
            assert await shop.order() == "failed"
            assert await shop.tell(late, PATH, SECOND) == 401

            path.write_text(NEW_PATH)
            token.write_text(SECOND)
            assert await shop.tell(late, PATH, SECOND) == 200
            assert await shop.tell(later, NEW_PATH, FIRST) == 200
            assert await shop.available() == TRIAL + 2 * BOUGHT
            # Nothing about the provider had to be started again: the next call has the new token.
            assert await shop.order() == "pending"

            token.write_text(STRANGERS)
            assert await shop.order() == "pending"

            await drain(lambda: _is(shop.tell(late, PATH, SECOND), 404), what="the old path ends")
            assert await shop.tell(late, NEW_PATH, FIRST) == 401
            assert await shop.tell(late, NEW_PATH, SECOND) == 200
            assert await shop.available() == TRIAL + 2 * BOUGHT
    await books.close()
    await broker.close()


async def test_a_start_without_its_secret_is_one_sentence(tmp_path):
    """It waits for neither NATS nor Postgres to say so."""
    environment = {
        "BILLING_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "BILLING_NATS_URL": "nats://127.0.0.1:9",
        "BILLING_CRYPTO_PAY_TOKEN_FILE": str(tmp_path / "token"),
    }
    process = await running(environment)

    _, told = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 2
    file = tmp_path / "token"
    assert told.decode() == (
        f"configuration: BILLING_CRYPTO_PAY_TOKEN_FILE: {file} cannot be read: FileNotFoundError\n"
    )


async def running(environment):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "billing"),
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )


async def _is(found, wanted):
    return await found == wanted
