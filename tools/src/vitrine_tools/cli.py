"""`vitrine dead list|show|redrive`: what a service parked, and handling it again."""

from __future__ import annotations

import argparse
import asyncio
import sys
from uuid import UUID

import msgspec
from rich.console import Console
from rich.table import Table

from chassis import parked, rpc
from chassis.broker import Broker
from chassis.clock import SystemClock
from contracts import billing, gateway, generator, scheduler, topology, vpn
from contracts.envelope import contracts_of
from vitrine_tools.settings import Settings

DATABASE_SERVICES = tuple(name for name in topology.SERVICES if name != "generator")
DEAD_OF_GENERATOR = "dead.generator"
CONTRACTS = contracts_of(gateway, billing, generator, vpn, scheduler)


def main() -> None:
    arguments = _parser().parse_args()
    try:
        asyncio.run(_run(arguments))
    except (rpc.RpcTimeoutError, rpc.RpcFailedError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vitrine", description=__doc__)
    dead = parser.add_subparsers(required=True).add_parser("dead", help="parked messages")
    actions = dead.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="what is parked")
    listing.add_argument("service", nargs="?", choices=DATABASE_SERVICES)
    listing.add_argument("--state", choices=("parked", "fresh", "done"), default="parked")
    for name, help_text in (("show", "one message, decoded"), ("redrive", "handle it again")):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("service", choices=DATABASE_SERVICES)
        action.add_argument("id", type=UUID)
    return parser


async def _run(arguments: argparse.Namespace) -> None:
    settings = Settings()
    fatal: list[str] = []
    broker = await Broker.connect(settings.broker_url(), name="vitrine", on_fatal=fatal.append)
    try:
        if arguments.action == "list":
            await _list(broker, arguments)
        elif arguments.action == "show":
            await _show(broker, arguments)
        else:
            await _redrive(broker, arguments, settings.who())
    finally:
        await broker.close()


async def _list(broker: Broker, arguments: argparse.Namespace) -> None:
    table = Table("service", "id", "subject", "reason", "age", "trace")
    services = (arguments.service,) if arguments.service else DATABASE_SERVICES
    now = SystemClock().now()
    for service in services:
        request = parked.ListParked(state=arguments.state)
        found = await _ask(broker, service, request)
        for row in found.rows:
            age = str(now - row.parked_at).split(".", maxsplit=1)[0]
            trace = row.traceparent[3:35]
            table.add_row(service, str(row.id), row.subject, row.reason, age, trace)
    Console().print(table if table.row_count else "nothing is parked")
    if not arguments.service and (dead := await _dead_of_generator(broker)):
        print(f"generator (no database): {dead} in the stream DEAD, subject {DEAD_OF_GENERATOR}")


async def _dead_of_generator(broker: Broker) -> int:
    """Count what the one service without a database could not handle."""
    info = await broker.api("STREAM.INFO.DEAD", {"subjects_filter": DEAD_OF_GENERATOR})
    return int((info["state"].get("subjects") or {}).get(DEAD_OF_GENERATOR, 0))


async def _show(broker: Broker, arguments: argparse.Namespace) -> None:
    found = await _ask(broker, arguments.service, parked.ShowParked(id=arguments.id))
    if not found.rows:
        raise SystemExit(f"{arguments.service} has no parked message {arguments.id}")
    row = found.rows[0]
    shown = {**msgspec.to_builtins(row), "body": _readable(row)}
    print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


def _readable(row: parked.ParkedRow) -> object:
    kind = CONTRACTS.get(row.subject)
    try:
        return msgspec.to_builtins(kind.decode(row.body)) if kind else row.body.hex()
    except msgspec.DecodeError:
        return row.body.hex()


async def _redrive(broker: Broker, arguments: argparse.Namespace, actor: str) -> None:
    subject = parked.RedriveParked.subject.format(service=arguments.service)
    request = parked.RedriveParked(id=arguments.id, actor=actor)
    answer = await rpc.request(broker, request, parked.Redriven, subject=subject)
    print("handled again" if answer.changed else "it was not parked (any more): nothing was done")


async def _ask(
    broker: Broker, service: str, request: parked.ListParked | parked.ShowParked
) -> parked.ParkedList:
    subject = request.subject.format(service=service)
    return await rpc.request(broker, request, parked.ParkedList, subject=subject)
