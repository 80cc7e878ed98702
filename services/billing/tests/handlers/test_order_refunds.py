"""Completed orders given back by an operator: once, wholly or in parts, by two above the limit."""

from datetime import timedelta

import pytest

from billing.adapters.audit import audit
from billing.adapters.dry_run import DryRun
from billing.adapters.postgres_search import PostgresSearch
from billing.handlers import buy_access, refund_order
from billing.handlers.apart import apart
from billing.handlers.expire_holds import expire_holds
from billing.handlers.find_records import find_records
from billing.handlers.record_access import record_access_granted
from billing.testing import ORBIT
from chassis.clock import new_id
from chassis.consumers import Route, Subscription
from contracts import operators, vpn
from contracts.access import AccessPlan, BuyAccess
from contracts.operators import FindRecords, RefundOrder, TryCommand

USER = 7
YEAR = AccessPlan(id="vpn_365", price_credits=1_400, days=365)
SUBSCRIPTION = new_id()


@pytest.fixture
async def office(cashier):
    await cashier.desk.grant(USER, 2_000)
    return Office(cashier)


class Office:
    """An operator with completed orders before them."""

    def __init__(self, cashier):
        self.cashier, self.desk = cashier, cashier.desk
        self.handler = apart(
            refund_order.refund_order,
            lambda *each: refund_order.not_refunded(*each, till=cashier.till),
            till=cashier.till,
        )

    def command(self, order_id, credits_=None, **fields):
        values = {
            "refund_id": new_id(),
            "user_id": USER,
            "reason": "it was late",
            "actor": "op",
            **fields,
        }
        return RefundOrder(order_id=order_id, credits=credits_, **values)

    async def refund(self, order_id, credits_=None, **fields):
        return await self.give(self.command(order_id, credits_, **fields))

    async def give(self, command):
        return await self.desk.batch(self.handler, command)

    async def made(self):
        """An order of 30 credits with its result."""
        order = await self.desk.placed(USER, workflow=ORBIT)
        await self.desk.succeed(order)
        return order.order_id

    async def access(self, *, granted=True):
        """A year of access, paid for."""
        order = BuyAccess(
            order_id=new_id(),
            user_id=USER,
            plan_id=YEAR.id,
            price_credits=YEAR.price_credits,
            priced_at=self.desk.now,
        )
        plans = {YEAR.id: YEAR}
        buy = apart(
            buy_access.buy_access,
            buy_access.access_refused,
            books=self.desk.books,
            plans=plans,
            terms=self.desk.terms,
        )
        await self.desk.batch(buy, order)
        if granted:
            await self.granted(order.order_id)
        return order.order_id

    async def granted(self, order_id):
        event = vpn.AccessGranted(
            order_id=order_id,
            user_id=USER,
            subscription_id=SUBSCRIPTION,
            plan=YEAR.id,
            until=self.desk.now + timedelta(days=365),
        )
        plans = {YEAR.id: YEAR}
        return await self.desk.batch(
            record_access_granted, event, books=self.desk.books, plans=plans
        )

    async def available(self):
        return (await self.cashier.account()).available

    async def audited(self):
        async with self.desk.database.read() as connection:
            report = await audit(connection)
        return {check.name for check in report.checks if check.broken_by}

    async def facts(self, query):
        search = PostgresSearch(self.desk.database)
        found = await find_records(FindRecords(query=str(query)), search=search)
        return {fact.what: fact.detail for fact in found.facts}


async def test_an_order_is_given_back_in_parts_and_never_more_than_its_price(office):
    order_id = await office.made()
    before = await office.available()

    (part,) = await office.refund(order_id, 12)
    (too_much,) = await office.refund(order_id, 19)
    (rest,) = await office.refund(order_id)
    (nothing,) = await office.refund(order_id)

    assert type(part).__name__ == "OrderCreditedBack"
    assert (part.credits, part.left_credits, part.workflow_id) == (12, 18, "video.orbit")
    assert (rest.credits, rest.left_credits, rest.access_revoked) == (18, 0, False)
    assert rest.available_credits == before + 30 == await office.available()
    assert (too_much.code, nothing.code) == ("invalid", "already_refunded")
    assert (await office.desk.order(order_id)).state == "completed"
    assert await office.audited() == set()


async def test_one_refund_gives_once(office):
    order_id = await office.made()
    other = await office.made()
    command = office.command(order_id, 5)

    await office.give(command)
    (again,) = await office.give(command)
    (elsewhere,) = await office.refund(other, 5, refund_id=command.refund_id)

    assert (again.code, elsewhere.code) == ("already_refunded", "same_id_other_body")
    assert await office.audited() == set()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"user_id": 8}, "not_yours"),
        ({"order_id": new_id()}, "unknown_order"),
        ({"reason": ""}, "invalid"),
        ({"actor": ""}, "invalid"),
        ({"credits_": 0}, "invalid"),
    ],
)
async def test_what_cannot_be_given_back_is_refused_and_noted(office, fields, code):
    await office.desk.open(8)
    order_id = fields.pop("order_id", None) or await office.made()
    before = await office.available()

    (refused,) = await office.refund(order_id, **fields)

    assert (type(refused).__name__, refused.code) == ("CommandRejected", code)
    assert await office.available() == before
    noted = await office.cashier.rows(
        "SELECT outcome FROM operator_actions WHERE subject_id = $1", str(order_id)
    )
    assert noted == [(code,)]


async def test_an_order_that_charged_nobody_has_nothing_to_give_back(office):
    waiting = await office.desk.placed(USER, workflow=ORBIT)

    (refused,) = await office.refund(waiting.order_id)

    assert refused.code == "not_charged"


async def test_so_much_of_one_order_is_given_back_by_two(office):
    order_id = await office.access()
    await office.refund(order_id, 900)
    asked = office.command(order_id, 101)

    (alone,) = await office.give(asked)
    (unasked,) = await office.refund(order_id, 101, approved_by="boss")
    words = {name: getattr(asked, name) for name in asked.__struct_fields__}
    (done,) = await office.give(RefundOrder(**words | {"approved_by": "boss"}))
    (again,) = await office.give(RefundOrder(**words | {"approved_by": "boss"}))

    assert (alone.code, unasked.code) == ("needs_second_person", "invalid")
    assert (done.credits, done.left_credits) == (101, 399)
    assert again.code == "already_refunded"
    assert await office.audited() == set()


async def test_access_is_taken_back_with_the_last_of_its_price(office):
    order_id = await office.access()

    (part,) = await office.refund(order_id, 400)
    kept = await office.facts(order_id)
    asked = office.command(order_id)
    await office.give(asked)
    words = {name: getattr(asked, name) for name in asked.__struct_fields__}
    revoke, told = await office.give(RefundOrder(**words | {"approved_by": "boss"}))
    late = await office.granted(order_id)

    assert (part.access_revoked, "access.revoked" in kept) == (False, False)
    assert (type(revoke).__name__, revoke.order_id) == ("RevokeAccess", order_id)
    assert revoke.refunded
    assert (told.credits, told.access_revoked) == (1_000, True)
    assert late == []
    assert await office.audited() == set()


async def test_access_given_too_late_is_no_drift(office):
    order_id = await office.access(granted=False)
    office.desk.clock.advance(office.desk.terms.access_hold)
    await office.desk.sweep(expire_holds)
    (revoke,) = await office.granted(order_id)

    assert (type(revoke).__name__, revoke.refunded) == ("RevokeAccess", False)
    assert await office.audited() == set()
    assert "access.revoked" in await office.facts(order_id)


async def test_the_story_of_an_access_order_is_found_by_its_id_and_by_its_subscription(office):
    order_id = await office.access()
    (told,) = await office.refund(order_id, 400, reason="a slow week")

    by_order = await office.facts(order_id)
    by_subscription = await office.facts(SUBSCRIPTION)
    by_refund = await office.facts(told.refund_id)
    of_user = await office.facts(USER)

    assert by_order["access.placed"] == {
        "user": "7",
        "workflow": "vpn_365",
        "price": "1400",
        "discount": "0",
    }
    assert by_order["hold.posted"]["credits"] == "1400"
    assert by_order["access.granted"]["subscription"] == str(SUBSCRIPTION)
    assert by_order["access.granted"]["until"].startswith("2027-11-20")
    assert by_order["access.completed"]["price"] == "1400"
    assert by_order["order.credited_back"]["reason"] == "a slow week"
    assert by_order["operator.refund_order"]["outcome"] == "done"
    same = by_order.keys() - {"operator.refund_order"}
    assert by_subscription.keys() == by_refund.keys() == same
    assert of_user["access.completed"]["workflow"] == "vpn_365"


TAMPERED = {
    "UPDATE order_refunds SET credits = credits - 1": {"given back = refunds of orders"},
    "UPDATE order_refunds SET debt_paid_credits = 1": {"given back = refunds of orders"},
    "DELETE FROM order_refunds": {"given back = refunds of orders"},
    "UPDATE order_refunds SET order_id = gen_random_uuid()": {"given back = refunds of orders"},
    "UPDATE access_grants SET revoked_at = now()": {"access charged = access given"},
    "DELETE FROM access_grants": {"access charged = access given"},
    "UPDATE access_grants SET order_id = gen_random_uuid()": {"access charged = access given"},
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_the_audit_sees_who_touched_what(office, statement):
    await office.refund(await office.access(), 400)
    async with office.desk.database.read() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert await connection.execute(statement) == f"{statement.split(' ')[0]} 1"

    assert await office.audited() == TAMPERED[statement]


async def test_a_tried_refund_changes_nothing_and_is_noted(office):
    order_id = await office.made()
    before = await office.available()
    route = Route(message=RefundOrder, handler=office.handler, batch=True)

    def table(**_parts):
        lock = office.desk.books.accounts.lock
        return (Subscription(stream="BILLING", consumer="billing", routes=(route,), lock=lock),)

    dry = DryRun(office.desk.outbox, table, office.desk.queues)
    command = office.command(order_id, 10)
    asked = TryCommand(command_subject=command.subject, body=command.encode(), actor="op")
    tried = await dry.try_command(asked)

    assert (tried.code, tried.effects) == ("", ())
    assert [each.subject for each in tried.messages] == [operators.OrderCreditedBack.subject]
    assert await office.available() == before
    assert (await office.facts(order_id))["operator.refund_order"]["dry_run"] == "True"
