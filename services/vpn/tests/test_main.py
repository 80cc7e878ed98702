"""The process as it is started: wired from its settings, ready, told something, stopped."""

import pytest

from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.migrations import migrate
from chassis.testing import drain
from contracts.envelope import Headers
from contracts.ids import MessageId, OrderId, UserId
from contracts.vpn import AccessRefused, GrantAccess
from devstack.testing import running_service
from vpn.consumers import table
from vpn.main import MIGRATIONS, SCHEMA


def test_every_route_is_a_command_of_this_service():
    [subscription] = table()

    assert (subscription.stream, subscription.consumer) == ("VPN", "vpn")
    assert all(route.message.subject.startswith("vpn.cmd.") for route in subscription.routes)


async def test_the_process_becomes_ready_answers_a_command_and_stops(database_dsn, nats_url):
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    command = GrantAccess(
        order_id=OrderId(new_id()), user_id=UserId(7), plan="month", until=SystemClock().now()
    )

    async def refused() -> bool:
        async with database.read() as connection:
            return await connection.fetchval(
                "SELECT count(*) = 1 FROM outbox WHERE subject = $1", AccessRefused.subject
            )

    settings = {"database_url": database_dsn, "nats_url": nats_url}
    async with running_service("vpn", settings) as process:
        wire = Headers(id=MessageId(new_id())).to_wire()
        await broker.publish(command.subject, command.encode(), wire)
        await drain(refused, what="the refusal")
    await database.close()
    await broker.close()

    assert process.returncode == 0
