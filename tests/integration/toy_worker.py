"""A process that consumes the BILLING stream exactly once; tests kill it at random."""

import asyncio
import sys

from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.signatures import OFF
from contracts import billing


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute(
        "INSERT INTO done (id, key) VALUES ($1, $2)", new_id(), command.grant_key
    )
    uow.emit(
        billing.CreditsGranted(
            user_id=command.user_id, credits=1, lot="bonus", reason=command.grant_key
        )
    )


async def main(dsn: str, nats_url: str) -> None:
    broker = await Broker.connect(nats_url, name="toy", on_fatal=sys.exit, signatures=OFF)
    database = await Database.connect(dsn, schema="toy")
    outbox = Outbox(database, broker, SystemClock())
    background = Background()
    route = Route(message=billing.GrantCredits, handler=record)
    subscription = Subscription(stream="BILLING", consumer="billing", routes=(route,), batch_max=32)
    consumer = ExactlyOnce("billing", outbox, subscription)
    background.supervise(consumer.run, name="consumer")
    background.spawn(outbox.run_publisher(), name="publisher")
    background.spawn(outbox.run_sweeper(background.stopping), name="sweeper")
    await background.stopping.wait()


asyncio.run(main(*sys.argv[1:]))
