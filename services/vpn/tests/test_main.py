"""The process as it is started: wired from its settings, ready, told something, stopped."""

import asyncio
import sys
from datetime import timedelta

import pytest

from chassis import bootstrap, rpc
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.migrations import migrate
from chassis.testing import drain
from contracts.envelope import Headers
from contracts.ids import MessageId, OrderId, UserId
from contracts.vpn import Access, GetAccess, GetNodes, GrantAccess, Nodes
from devstack.testing import running_service
from vpn.consumers import table
from vpn.domain.terms import Terms
from vpn.main import MIGRATIONS, SCHEMA, postgres_books
from vpn.ports import Wakes
from vpn.settings import Settings

PATIENCE = timedelta(seconds=30)
GRACE = timedelta(seconds=60)
PLANS = '[[plans]]\nid = "vpn_30"\nprice_credits = 1\ndays = 30\n'
NODES = (
    '[[nodes]]\nname = "{name}"\nregion = "eu"\ndriver = "memory"\n'
    '[nodes.link]\naddress = "e.example.org"\nport = 443\n'
)


def nothing():
    """Wakes nobody."""


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"renew_before": timedelta(minutes=59)}, "renew_before"),
        ({"renew_before": timedelta(0)}, "renew_before"),
        ({"renew_before": timedelta(hours=11)}, "renew_before: the attempts"),
        ({"renew_spacing": timedelta(hours=13)}, "renew_before: the attempts"),
        ({"look_every": timedelta(0)}, "look_every"),
        ({"retention": timedelta(days=-1)}, "retention"),
        ({"list_every": timedelta(0)}, "list_every"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, field):
    with pytest.raises(ValueError, match=field):
        Settings(database_url="postgresql://x/y", **wrong)


def test_a_day_may_be_seconds_and_a_renewal_asked_within_them():
    quick = {"day": timedelta(seconds=10), "renew_spacing": timedelta(seconds=1)}

    Settings(database_url="postgresql://x/y", renew_before=timedelta(seconds=2), **quick)


def test_every_route_is_a_command_of_this_service_or_billing_s_word():
    wakes = Wakes(nothing, nothing, nothing, nothing)
    commands, events = table(
        books=postgres_books(nothing), wakes=wakes, catalogue={}, terms=Terms()
    )

    assert (commands.stream, events.stream) == ("VPN", "EVENTS")
    assert all(route.message.subject.startswith("vpn.cmd.") for route in commands.routes)
    assert all(route.message.subject.startswith("billing.evt.") for route in events.routes)


async def test_two_processes_sell_keep_nodes_answer_and_stop(database_dsn, nats_url, tmp_path):
    (tmp_path / "vpn.toml").write_text(PLANS)
    nodes = tmp_path / "nodes.toml"
    nodes.write_text(NODES.format(name="eu-1") + NODES.format(name="eu-2"))
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    command = GrantAccess(order_id=OrderId(new_id()), user_id=UserId(7), plan="vpn_30", days=30)

    async def in_step() -> bool:
        answer = await rpc.request(broker, GetNodes(), Nodes, timeout=PATIENCE)
        lines = {(each.health, each.users, each.wanted, each.behind) for each in answer.nodes}
        return lines == {("up", 1, 1, 0)}

    settings = {
        "database_url": database_dsn,
        "nats_url": nats_url,
        "catalogue_dir": str(tmp_path),
        "nodes_file": str(nodes),
        "links_port": "0",
        "links_url": "https://sub.example.org",
        "look_every": "0.2",
        "shutdown_grace": str(GRACE.total_seconds()),
    }
    # Two replicas: the memory nodes are each replica's own, so the second only stands by.
    async with running_service("vpn", settings) as first:

        async def kept() -> bool:
            rows = await _health(database)
            return rows == ["up", "up"]

        await drain(kept, what="both nodes kept")
        async with running_service("vpn", settings) as second:
            wire = Headers(id=MessageId(new_id())).to_wire()
            await broker.publish(command.subject, command.encode(), wire)
            await drain(in_step, what="both nodes with the new person")
            asked = GetAccess(user_id=UserId(7))
            access = await rpc.request(broker, asked, Access, timeout=PATIENCE)
        began = SystemClock().now()
    stopped_in = SystemClock().now() - began
    await database.close()
    await broker.close()

    assert access.link.startswith("https://sub.example.org/sub/")
    assert len(access.link.rpartition("/")[2]) == 32
    assert (first.returncode, second.returncode) == (0, 0)
    assert stopped_in < GRACE / 2, "what waits is woken, not cancelled near the end of the grace"


async def _health(database):
    async with database.read() as connection:
        return [row[0] for row in await connection.fetch("SELECT health FROM nodes")]


@pytest.mark.parametrize("arguments", [("nodes",), ("reconcile", "--dry-run"), ("extend", "0")])
async def test_every_subcommand_has_help(arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vpn", arguments[0], "--help"),
        stdout=asyncio.subprocess.PIPE,
    )
    shown, _ = await process.communicate()

    assert process.returncode == 0
    assert arguments[0] in shown.decode()
