"""Billing is killed -9 at every statement of the payment path: paid is delivered every time.

Enumerated, not sampled. Between billing and Postgres stands devstack.postgres_proxy. For each of
WAYS clean runs (two must agree) list every statement billing sends from the trigger until all
is quiet: BEGIN, SAVEPOINT, each query, each COPY and the end of its data, COMMIT, the outbox's
mark, an effect's claim and settling. Then, for a new person each time, billing gets SIGKILL right
before the n-th of them reaches Postgres, for every n; and right after Postgres answered it, before
billing reads that: in `make kill-points` for every n; in `make test` after each COMMIT and after
what runs outside a transaction, for between two statements of one transaction nothing leaves
billing and both moments leave the same behind. There the two ways that credit are run, the others
by `make kill-points`. The ways are in devstack.payment_ways and devstack.refund_ways.

Not counted: the sweeper's and the readiness check's looks, and what asyncpg asks about types. The
sweeps of billing itself run once at each start, before the trigger. Time is not waited for: the
lease of a dead process's effect is made to run out, and the consumers' ack_wait is 0.4 s.

After each kill billing is started again, the outside repeats what it was not answered, and when
all is quiet the case is judged; at the end every case once more. Each billing is a process of its
own, forked by devstack.warm_starts where the imports are done.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from billing.adapters.audit import PostgresAuditor
from billing.main import MIGRATIONS, SCHEMA
from contracts import billing, payments
from contracts.envelope import contracts_of
from contracts.payments import CRYPTO_PAY, YOOKASSA
from devstack.kill_points import Victim, behind_a_wire, strike_all
from devstack.payment_ways import (
    TOKEN,
    InvoiceMade,
    Outside,
    Payment,
    PlanPaid,
    PlanRenewed,
    PolledPaid,
    StarsArePaid,
    WebhookPaid,
    YooKassaPaid,
)
from devstack.refund_ways import Refunded, StarsRefundAsked, StarsRefunded
from devstack.testing import DatabaseServer, free_port
from devstack.warm_starts import warm_starts
from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator
from simulators.yookassa.testing import ControlClient as YooKassaControl
from simulators.yookassa.testing import YooKassaSimulator

pytestmark = [
    pytest.mark.xdist_group("heavy"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]

CATALOGUE = Path(__file__).parents[2] / "catalogue"
SEGMENT = "nobody-guesses-this-segment"
SHOP_ID, SHOP_SECRET = "506751", "test_secret-of-a-test"
ACK_WAIT = timedelta(seconds=0.4)
NEVER = "86400"
SWEEPS = ("QUEUE_SAMPLE", "EXPIRE_HOLDS", "EXPIRE_LOTS", "ASK_DELIVERIES", "SEAL", "REWARDS")
WAYS = (
    WebhookPaid,
    StarsArePaid,
    PolledPaid,
    YooKassaPaid,
    PlanPaid,
    PlanRenewed,
    InvoiceMade,
    Refunded,
    StarsRefundAsked,
    StarsRefunded,
)
CREDITING = (WebhookPaid, StarsArePaid)


@dataclass(frozen=True)
class Shop:
    victim: Victim
    outside: Outside
    environments: Mapping[str, Mapping[str, str]]
    """Of a billing that has this provider besides Stars."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(postgres_server: DatabaseServer) -> AsyncIterator[Shop]:
    """Billing behind the wire, a nats-server, the providers: one of each for all points."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        known = contracts_of(billing, payments)
        wired = await enter(
            behind_a_wire(
                SCHEMA,
                postgres_server,
                migrations_folder=MIGRATIONS,
                known=known,
                ack_wait=ACK_WAIT,
            )
        )
        victim = wired.victim
        crypto_pay = await enter(
            CryptoPaySimulator(token=TOKEN, balance={"USDT": Decimal(100_000)})
        )
        yookassa = await enter(YooKassaSimulator(shop_id=SHOP_ID, secret=SHOP_SECRET))
        base = settings(wired.dsn, wired.nats_url)
        environments = {
            CRYPTO_PAY: {
                **base,
                "BILLING_CRYPTO_PAY_TOKEN": TOKEN,
                "BILLING_CRYPTO_PAY_API_URL": crypto_pay.url,
            },
            YOOKASSA: {
                **base,
                "BILLING_YOOKASSA_SHOP_ID": SHOP_ID,
                "BILLING_YOOKASSA_SECRET": SHOP_SECRET,
                "BILLING_YOOKASSA_API_URL": f"{yookassa.url}/v3",
                "BILLING_YOOKASSA_RETURN_URL": "https://shop.example/",
            },
        }

        async def audit() -> list[str]:
            report = await PostgresAuditor(victim.database).audit()
            return [] if report.healthy else report.lines()

        outside = Outside(
            await enter(ControlClient(crypto_pay.url)),
            await enter(YooKassaControl(yookassa.url)),
            audit,
        )
        # Webhooks are posted when a test says so, and again where they were not answered.
        hooks = f"http://127.0.0.1:{base['BILLING_WEBHOOK_PORT']}/pay"
        for provider, control in (
            (CRYPTO_PAY, outside.crypto_pay),
            (YOOKASSA, outside.yookassa),
        ):
            await control.webhook(url=f"{hooks}/{provider}/{SEGMENT}", enabled=False)
        await victim.start(
            await enter(warm_starts("billing", "billing.cli")), environments[CRYPTO_PAY]
        )
        yield Shop(victim, outside, environments)


def settings(dsn: str, nats_url: str) -> dict[str, str]:
    ours = {
        "DATABASE_URL": dsn,
        "NATS_URL": nats_url,
        "SIGNATURES": "off",
        "CATALOGUE_DIR": CATALOGUE,
        "HEALTH_PORT": free_port(),
        "LOG_LEVEL": "error",
        "LOG_FORMAT": "json",
        "PAYLOAD_SECRET": "a secret of the tests",
        "WEBHOOK_PORT": free_port(),
        "WEBHOOK_SECRET": SEGMENT,
        **{f"{sweep}_EVERY": NEVER for sweep in SWEEPS},
    }
    return {**os.environ, **{f"BILLING_{name}": str(value) for name, value in ours.items()}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everything = metafunc.config.getoption("--kill-points") == "all"
    metafunc.parametrize("everything", [everything])
    metafunc.parametrize("kind", WAYS if everything else CREDITING)


async def test_billing_may_be_killed_at_any_statement(
    shop: Shop, kind: type[Payment], everything: bool
) -> None:
    await shop.victim.become(shop.environments[kind.switched_on])
    way = kind(shop.victim, shop.outside)
    points, cases = await strike_all(way, everything=everything)
    await way.end(cases)
    await way.victim.settled()

    await way.judge(cases)
    assert len(points) > 20
