import pytest

from billing import jobs
from billing.adapters.audit import audit
from billing.handlers.expire_holds import expire_holds
from billing.handlers.record_job_failed import record_jobs_failed
from billing.handlers.run_audit import run_audit
from billing.testing import ENHANCE, ORBIT
from chassis.effects import EffectWorker
from contracts import billing, generator


@pytest.fixture
async def busy_desk(postgres_desk):
    """Books with something of everything in them."""
    desk = postgres_desk
    await desk.open(1, 2, 3, amount=60)
    done, lost, late = [await desk.placed(1, workflow=ORBIT) for _ in range(2)] + [
        await desk.placed(2)
    ]
    await desk.succeed(done)
    event = generator.JobFailed(order_id=lost.order_id, user_id=1, failure_class="timeout")
    await desk.batch(record_jobs_failed, event, books=desk.books)
    desk.clock.advance((await desk.order(late.order_id)).hold.expires_at - desk.now)
    await desk.sweep(expire_holds)
    await desk.succeed(late)
    await desk.placed(3, workflow=ENHANCE)
    await desk.placed(3)
    return desk


async def report_of(desk):
    async with desk.database.read() as connection:
        return await audit(connection)


async def test_honest_books_are_healthy(busy_desk):
    report = await report_of(busy_desk)

    assert report.healthy, report.lines()
    assert report.figures["gifts"] == 1
    assert report.figures["undelivered"] == 2
    assert report.figures["pending"] == 2


TAMPERED = {
    "UPDATE accounts SET available = available + 1 WHERE user_id = 1": {"lots = balances = replay"},
    "UPDATE accounts SET in_flight = 5 WHERE user_id = 1": {"lots = balances = replay"},
    "UPDATE lots SET remaining = remaining - 1 WHERE user_id = 2 AND number = 1": {
        "lots = balances = replay",
        "each lot = its replay",
    },
    "DELETE FROM transfers WHERE user_id = 2 AND kind = 'grant'": {
        "lots = balances = replay",
        "each lot = its replay",
        "each grant credited once",
    },
    "UPDATE transfers SET amount = 31 WHERE user_id = 1 AND kind = 'post' AND amount = 10": {
        "lots = balances = replay",
        "holds = their transfers",
    },
    "UPDATE holds SET state = 'voided' WHERE state = 'posted'": {
        "holds = their transfers",
        "charged exactly if completed",
    },
    "DELETE FROM holds WHERE user_id = 3 AND amount = 0": {
        "lots = balances = replay",
        "charged exactly if completed",
        "quotas = free holds",
    },
    "UPDATE orders SET outputs = NULL, deliver_due_at = NULL WHERE state = 'completed'": {
        "results where completed"
    },
    "UPDATE quotas SET used = 3": {"quotas = free holds"},
    "UPDATE grants SET credits = 61 WHERE user_id = 3": {"each grant credited once"},
    "UPDATE orders SET price_credits = 1, base_price_credits = NULL WHERE state = 'completed'": {
        "charged exactly if completed"
    },
}


@pytest.mark.parametrize("statement", TAMPERED)
async def test_the_audit_sees_who_touched_what(busy_desk, statement):
    async with busy_desk.database.read() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert await connection.execute(statement) not in ("UPDATE 0", "DELETE 0")

    report = await report_of(busy_desk)

    assert {check.name for check in report.checks if check.broken_by} == TAMPERED[statement]
    assert not report.healthy


async def test_the_audit_runs_after_the_command_and_is_told_once(busy_desk):
    class Auditor:
        async def audit(self):
            return await report_of(busy_desk)

    command = billing.RunAudit(due_at=busy_desk.now)
    worker = EffectWorker(busy_desk.outbox, jobs.effects(Auditor()))
    for _ in range(2):
        async with busy_desk.begin() as uow:
            await run_audit(command, uow)

    done = [await worker.work_once() for _ in range(2)]

    async with busy_desk.database.read() as connection:
        bodies = await connection.fetch(
            "SELECT body FROM outbox WHERE subject = $1", billing.AuditCompleted.subject
        )
    assert done == [1, 0]
    (event,) = [billing.AuditCompleted.decode(row["body"]) for row in bodies]
    assert (event.accounts, event.drift) == (3, ())


async def test_orders_placed_while_the_audit_runs_are_no_drift(busy_desk):
    async with busy_desk.database.read() as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.fetchval("SELECT count(*) FROM accounts")
            await busy_desk.placed(2)
            report = await audit(connection)

    assert report.healthy, report.lines()
    assert report.figures["pending"] == 2
