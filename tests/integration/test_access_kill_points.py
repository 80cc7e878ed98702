"""Billing is killed -9 at every statement of the way to VPN access: charged is granted, and once.

As in test_payment_kill_points, which says how the moments are found. Here vpn is played by the
test: it reads what billing asks of vpn from the stream, and publishes vpn's answers. Five ways: a
person buys, a renewal is asked for, access is granted, access is refused, an operator gives the
price back. `make test` runs the one that charges, `make kill-points` all of them, before and after
every statement. Cases that were only asked for are answered at the end, half of them with a no.
"""

import base64
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
import pytest_asyncio

from billing.adapters.audit import PostgresAuditor
from billing.main import MIGRATIONS, SCHEMA
from chassis.clock import new_id
from contracts import access, billing, operators, vpn
from contracts.access import AccessBought, AccessNotBought, BuyAccess, RenewAccess
from contracts.billing import GrantCredits, OpenAccount
from contracts.envelope import Message, contracts_of
from contracts.errors import NO_NODES
from contracts.ids import renewal_order_id
from contracts.operators import OrderCreditedBack, RefundOrder
from contracts.vpn import AccessGranted, AccessRefused, GrantAccess, RevokeAccess
from devstack.kill_points import Victim, behind_a_wire, strike_all
from devstack.testing import DatabaseServer, free_port
from devstack.warm_starts import warm_starts

pytestmark = [
    pytest.mark.xdist_group("heavy"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

CATALOGUE = Path(__file__).parents[2] / "catalogue"
ACK_WAIT = timedelta(seconds=0.4)
NEVER = "86400"
SWEEPS = ("QUEUE_SAMPLE", "EXPIRE_HOLDS", "EXPIRE_LOTS", "ASK_DELIVERIES", "SEAL", "REWARDS")
PLAN, PRICE, RICH = "vpn_30", 150, 500
TRIAL = 20
ASKED, GRANTED, REFUSED, BACK = "asked", "granted", "refused", "back"
STANDS = {
    ASKED: ("accepted", "pending", RICH - PRICE, PRICE, 1),
    GRANTED: ("completed", "posted", RICH - PRICE, 0, 0),
    REFUSED: ("refunded", "voided", RICH, 0, 0),
    BACK: ("completed", "posted", RICH, 0, 0),
}
"""Order, hold, and of the account: available, held, in flight."""
TOLD: dict[str, tuple[type[Message], ...]] = {
    ASKED: (),
    GRANTED: (AccessBought,),
    REFUSED: (AccessNotBought,),
    BACK: (AccessBought, OrderCreditedBack),
}
KNOWN = contracts_of(access, billing, operators, vpn)


@dataclass
class Case:
    """One person with one order, and how it stands."""

    user_id: int
    order_id: UUID
    subscription_id: UUID
    period_end: datetime
    stage: str = ASKED


class Vpn:
    """What billing asks of vpn, read from the stream without taking it."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._read = 0
        self._asked: list[tuple[type[Message], UUID]] = []

    async def asked_of(self, order_id: UUID) -> Counter[type[Message]]:
        api = self._victim.broker.api
        last = (await api("STREAM.INFO.VPN"))["state"]["last_seq"]
        while self._read < last:
            self._read += 1
            found = (await api("STREAM.MSG.GET.VPN", {"seq": self._read}))["message"]
            kind = KNOWN[found["subject"]]
            message = kind.decode(base64.b64decode(found["data"]))
            assert isinstance(message, GrantAccess | RevokeAccess)
            self._asked.append((kind, message.order_id))
        return Counter(kind for kind, asked in self._asked if asked == order_id)


class Access:
    """One way through the code that sells access: from its trigger until all is quiet."""

    calls_out: ClassVar[bool] = False
    users = count(1_000)

    def __init__(self, victim: Victim, answers: Vpn) -> None:
        self.victim, self.answers = victim, answers

    async def prepare(self, number: int) -> list[Case]:
        """People with credits, made with nobody killed."""
        now = datetime.now(UTC)
        cases = [
            Case(next(Access.users), new_id(), new_id(), now + timedelta(days=1))
            for _ in range(number)
        ]
        await self.victim.publish(OpenAccount(user_id=case.user_id) for case in cases)
        await self.victim.settled()
        await self.victim.publish(
            GrantCredits(
                grant_key=f"test:{case.user_id}",
                user_id=case.user_id,
                credits=RICH - TRIAL,
                reason="test",
                actor=f"test of {case.user_id}",  # one person gives only so much a day
                lot="paid",
            )
            for case in cases
        )
        await self.victim.settled()
        return cases

    async def begin(self, case: Case) -> None:
        raise NotImplementedError

    async def go_on(self, case: Case) -> None:
        """Nothing: every trigger here was stored by NATS."""

    async def end(self, cases: list[Case]) -> None:
        """Answer what was only asked for: half of it with a no."""
        for number, case in enumerate(cases):
            if case.stage == ASKED:
                await (self.grant(case) if number % 2 else self.refuse(case))

    async def buy(self, case: Case) -> None:
        order = BuyAccess(
            order_id=case.order_id,
            user_id=case.user_id,
            plan_id=PLAN,
            price_credits=PRICE,
            priced_at=datetime.now(UTC),
        )
        await self.victim.publish([order])

    async def grant(self, case: Case) -> None:
        case.stage = GRANTED
        event = AccessGranted(
            order_id=case.order_id,
            user_id=case.user_id,
            subscription_id=case.subscription_id,
            plan=PLAN,
            until=case.period_end + timedelta(days=30),
        )
        await self.victim.publish([event])

    async def refuse(self, case: Case) -> None:
        case.stage = REFUSED
        event = AccessRefused(order_id=case.order_id, user_id=case.user_id, code=NO_NODES)
        await self.victim.publish([event])

    async def judge(self, cases: list[Case]) -> None:
        for case in cases:
            await self.check(case)
        assert await self.victim.rows("SELECT subject FROM parked") == []
        report = await PostgresAuditor(self.victim.database).audit()
        assert report.healthy, report.lines()

    async def check(self, case: Case) -> None:
        """Charged exactly if granted; vpn was asked once; each end was told once."""
        stands = await self.victim.rows(
            "SELECT o.state, h.state, a.available, a.held, a.in_flight FROM orders o "
            "JOIN holds h USING (order_id) JOIN accounts a ON a.user_id = o.user_id "
            "WHERE o.order_id = $1 AND h.amount = $2",
            case.order_id,
            PRICE,
        )
        assert stands == [STANDS[case.stage]]
        kinds = (AccessBought, AccessNotBought, OrderCreditedBack)
        told = [kind for kind in kinds for _ in self.victim.events(kind, order_id=case.order_id)]
        assert told == list(TOLD[case.stage])
        revoked = {RevokeAccess: 1} if case.stage == BACK else {}
        assert await self.answers.asked_of(case.order_id) == {GrantAccess: 1, **revoked}


class AccessBuying(Access):
    """A person buys a plan: its price is held, and vpn is asked to give it."""

    async def begin(self, case: Case) -> None:
        await self.buy(case)


class AccessRenewing(Access):
    """A subscription that renews itself asks for its next period."""

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            case.order_id = renewal_order_id(case.subscription_id, case.period_end)
        return cases

    async def begin(self, case: Case) -> None:
        command = RenewAccess(
            order_id=case.order_id,
            user_id=case.user_id,
            subscription_id=case.subscription_id,
            plan_id=PLAN,
            period_end=case.period_end,
        )
        await self.victim.publish([command])


class Bought(Access):
    """What begins with orders that wait for vpn's answer."""

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            await self.buy(case)
        await self.victim.settled()
        return cases


class AccessGiven(Bought):
    """vpn gave the access: it is charged."""

    async def begin(self, case: Case) -> None:
        await self.grant(case)


class AccessDenied(Bought):
    """vpn gave nothing: nobody is charged."""

    async def begin(self, case: Case) -> None:
        await self.refuse(case)


class AccessGivenBack(Bought):
    """An operator gives the price back: the access is taken back."""

    async def prepare(self, number: int) -> list[Case]:
        cases = await super().prepare(number)
        for case in cases:
            await self.grant(case)
        await self.victim.settled()
        return cases

    async def begin(self, case: Case) -> None:
        case.stage = BACK
        command = RefundOrder(
            refund_id=new_id(),
            order_id=case.order_id,
            user_id=case.user_id,
            reason="test",
            actor=f"test of {case.user_id}",
        )
        await self.victim.publish([command])


WAYS = (AccessBuying, AccessRenewing, AccessGiven, AccessDenied, AccessGivenBack)
CHARGING = (AccessGiven,)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(postgres_server: DatabaseServer) -> AsyncIterator[tuple[Victim, Vpn]]:
    """Billing behind the wire and a nats-server: one of each for all points."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        wired = await enter(
            behind_a_wire(
                SCHEMA,
                postgres_server,
                migrations_folder=MIGRATIONS,
                known=KNOWN,
                ack_wait=ACK_WAIT,
            )
        )
        ours = {
            "DATABASE_URL": wired.dsn,
            "NATS_URL": wired.nats_url,
            "SIGNATURES": "off",
            "CATALOGUE_DIR": CATALOGUE,
            "HEALTH_PORT": free_port(),
            "LOG_LEVEL": "error",
            "LOG_FORMAT": "json",
            "PAYLOAD_SECRET": "a secret of the tests",
            **{f"{sweep}_EVERY": NEVER for sweep in SWEEPS},
        }
        environment = {
            **os.environ,
            **{f"BILLING_{name}": str(value) for name, value in ours.items()},
        }
        await wired.victim.start(await enter(warm_starts("billing", "billing.cli")), environment)
        yield wired.victim, Vpn(wired.victim)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    everything = metafunc.config.getoption("--kill-points") == "all"
    metafunc.parametrize("everything", [everything])
    metafunc.parametrize("kind", WAYS if everything else CHARGING)


async def test_billing_may_be_killed_at_any_statement_of_an_access_order(
    shop: tuple[Victim, Vpn], kind: type[Access], everything: bool
) -> None:
    way = kind(*shop)
    points, cases = await strike_all(way, everything=everything)
    await way.end(cases)
    await way.victim.settled()

    await way.judge(cases)
    assert len(points) > 10
