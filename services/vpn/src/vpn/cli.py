"""`vpn`: the service, its migrations, and what operators ask of nodes and subscriptions."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from pydantic_settings import SettingsConfigDict

from chassis import command_line, rpc
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.command_line import EXIT_NO_ANSWER, actor, as_operator, send, words
from chassis.service import configure
from chassis.settings import ServiceSettings
from contracts.vpn import (
    EverybodyExtended,
    ExtendEverybody,
    GetNodes,
    GetReconcileReport,
    Nodes,
    ReconcileNodes,
    ReconcileReport,
    SetNode,
)
from vpn import main as service
from vpn.domain.plans import DAYS_MAX
from vpn.ports.registry import STATES

ANSWER_SECONDS = 60.0
REPORT_SECONDS = 20.0


class ConnectionSettings(ServiceSettings):
    """Commands to a running vpn need the broker alone."""

    model_config = SettingsConfigDict(env_prefix="VPN_", extra="ignore")


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    command_line.dispatch(chosen, name="vpn", run=service.main, migrate=service.migrate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vpn", description="VPN access and its nodes.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="run the service (the default)")
    commands.add_parser("migrate", help="bring the schema to this release")
    nodes = commands.add_parser("nodes", help="every node: state, health, how far behind")
    nodes.set_defaults(work=_nodes)
    set_node = commands.add_parser("set-node", help="use a node, drain it or leave it alone")
    set_node.add_argument("node")
    set_node.add_argument("state", choices=STATES)
    set_node.add_argument("--reason", required=True)
    set_node.set_defaults(work=_set_node)
    reconcile = commands.add_parser("reconcile", help="compare every node with what it should hold")
    reconcile.add_argument("--dry-run", action="store_true", help="list, report, change nothing")
    reconcile.set_defaults(work=_reconcile)
    extend = commands.add_parser("extend", help="give days to everybody whose access runs")
    extend.add_argument("days", type=_days, help=f"1-{DAYS_MAX}")
    extend.add_argument("--reason", required=True, type=words)
    extend.add_argument("--plan", default="", help="only those of this plan")
    extend.add_argument(
        "--ended-within", type=int, default=0, help="and who ended so many days ago"
    )
    extend.add_argument("--action", type=UUID, help="the same again gives nobody anything twice")
    extend.set_defaults(work=_extend)
    return parser


def _days(text: str) -> int:
    """Refused here: the service would only write it into its log."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {DAYS_MAX} days")
    return int(text)


def _broker() -> AbstractAsyncContextManager[Broker]:
    return as_operator(configure(ConnectionSettings), "vpn-cli")


async def _nodes(_chosen: argparse.Namespace) -> int:
    async with _broker() as broker:
        answer = await rpc.request(broker, GetNodes(), Nodes)
    for each in answer.nodes:
        seen = f"{each.seen_at:%Y-%m-%d %H:%M:%S}" if each.seen_at else "never"
        sys.stdout.write(
            f"{each.name:<20} {each.region:<8} {each.state:<9} {each.health:<8} "
            f"{each.users}/{each.wanted} users, {each.behind} behind, seen {seen} {each.detail}\n"
        )
    return 0


async def _set_node(chosen: argparse.Namespace) -> int:
    command = SetNode(node=chosen.node, state=chosen.state, actor=actor(), reason=chosen.reason)
    async with _broker() as broker:
        await send(broker, command, new_id())
    sys.stdout.write(f"sent: {chosen.node} {chosen.state}\n")
    return 0


async def _reconcile(chosen: argparse.Namespace) -> int:
    """Ask for it and print the report once every node's line is newer than the asking."""
    asked_at = SystemClock().now()
    request = GetReconcileReport(dry_run=chosen.dry_run)
    async with _broker() as broker:
        await send(broker, ReconcileNodes(due_at=asked_at, dry_run=chosen.dry_run), new_id())
        report = await rpc.request(broker, request, ReconcileReport)
        for _ in range(int(REPORT_SECONDS)):
            if report.at is not None and report.at >= asked_at:
                break
            await asyncio.sleep(1)
            report = await rpc.request(broker, request, ReconcileReport)
    for each in report.nodes:
        sys.stdout.write(
            f"{each.node:<20} missing {each.missing}, extra {each.extra}, "
            f"foreign {each.foreign}, mended {each.mended} {each.held_back}\n"
        )
    if report.at is None or report.at < asked_at:
        sys.stderr.write("not every node has answered yet; these are older lines\n")
        return EXIT_NO_ANSWER
    return 0


async def _extend(chosen: argparse.Namespace) -> int:
    command = ExtendEverybody(
        action_id=chosen.action or new_id(),
        days=chosen.days,
        reason=chosen.reason,
        actor=actor(),
        plan=chosen.plan,
        ended_within_days=chosen.ended_within,
    )
    ended: asyncio.Future[EverybodyExtended] = asyncio.get_running_loop().create_future()

    async def heard(message: Any) -> None:
        event = EverybodyExtended.decode(message.body)
        if event.action_id == command.action_id and not ended.done():
            ended.set_result(event)

    async with _broker() as broker:
        await broker.subscribe(EverybodyExtended.subject, heard)
        await send(broker, command, new_id())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                event = await ended
        except TimeoutError:
            sys.stderr.write(f"sent, not finished yet: --action {command.action_id}\n")
            return EXIT_NO_ANSWER
    sys.stdout.write(f"{event.subscriptions} subscriptions got {event.days} days\n")
    return 0
