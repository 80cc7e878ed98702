"""Scheduler's command line: run, migrate, and what an operator sees and does by hand."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from chassis import command_line, logs
from chassis.clock import SystemClock
from chassis.command_line import EXIT_NO_ANSWER, EXIT_REFUSED, actor
from chassis.database import Database, DatabaseUnavailableError
from chassis.outbox import UnitOfWork
from chassis.partitions import Partitions
from chassis.service import configure
from contracts import billing, gateway, generator, payments, rewards, scheduler, vpn
from contracts.envelope import contracts_of
from scheduler import jobs
from scheduler import main as service
from scheduler.adapters import operators
from scheduler.adapters.operators import Shown, Wanted
from scheduler.adapters.postgres import PostgresTimers
from scheduler.domain import settling, timers
from scheduler.settings import Settings

CONTRACTS = contracts_of(billing, gateway, generator, payments, rewards, scheduler, vpn)
STATES = (timers.ARMED, timers.FIRED, timers.CANCELLED, timers.SKIPPED, timers.COALESCED)
CONNECT_SECONDS_MAX = 5.0
LIMIT = 50
LIMIT_MAX = 10_000
Work = Callable[[Database, argparse.Namespace], Coroutine[Any, Any, None]]


class RefusedError(Exception):
    """What could not be done, as a sentence for the operator."""


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    command_line.dispatch(
        chosen, name="scheduler", run=service.main, migrate=service.migrate, work=_work
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scheduler", description="Durable timers and ticks.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="run the service (the default)")
    commands.add_parser("migrate", help="bring the schema to this release")
    listing = commands.add_parser("list", help="timers, the earliest first")
    listing.add_argument("--kind", default="")
    listing.add_argument("--state", choices=(*STATES, "any"), default=timers.ARMED)
    listing.add_argument("--prefix", default="", help="keys that begin so")
    listing.add_argument("--group", default="")
    listing.add_argument("--due-after", type=_moment, metavar="WHEN", help="ISO 8601, else UTC")
    listing.add_argument("--due-before", type=_moment, metavar="WHEN")
    listing.add_argument("--overdue", action="store_true", help="armed, and its moment is past")
    listing.add_argument("--limit", type=_limit, default=LIMIT)
    listing.set_defaults(work=_list)
    show = commands.add_parser("show", help="one timer, what it carries, what was done by hand")
    show.add_argument("key")
    show.set_defaults(work=_show)
    ticks = commands.add_parser("ticks", help="what recurs by settings")
    ticks.set_defaults(work=_ticks)
    fire = commands.add_parser("fire", help="fire a timer now; a repeating one goes on after it")
    fire.add_argument("--again", action="store_true", help="also one that has ended")
    fire.set_defaults(work=_fire)
    cancel = commands.add_parser("cancel", help="leave a tombstone; a newer version sets it again")
    cancel.set_defaults(work=_cancel)
    for deed in (fire, cancel):
        deed.add_argument("key")
        deed.add_argument("--reason", required=True)
        deed.add_argument("--dry-run", action="store_true", help="only tell what it would do")
    for answer in (listing, show, ticks, fire, cancel):
        answer.add_argument("--json", action="store_true", help="for programs")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= LIMIT_MAX:
        raise argparse.ArgumentTypeError(f"not between 1 and {LIMIT_MAX}")
    return limit


async def _work(chosen: argparse.Namespace) -> int:
    settings = configure(Settings)
    logs.configure(service="scheduler", log_format="console", level="critical")
    work: Work = chosen.work
    try:
        async with _database(settings) as database:
            await work(database, chosen)
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    except DatabaseUnavailableError:
        sys.stderr.write("no Postgres answers there: see SCHEDULER_DATABASE_URL\n")
        return EXIT_NO_ANSWER
    return 0


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    stopping = asyncio.Event()
    # A service waits for its database as long as it takes; a person at a terminal does not.
    giving_up = asyncio.get_running_loop().call_later(CONNECT_SECONDS_MAX, stopping.set)
    database = await Database.connect(
        settings.login,
        schema=service.SCHEMA,
        pool_max=2,
        application_name="scheduler-cli",
        stopping=stopping,
    )
    giving_up.cancel()
    try:
        yield database
    finally:
        await database.close()


async def _list(database: Database, chosen: argparse.Namespace) -> None:
    wanted = Wanted(
        kind=chosen.kind,
        state="" if chosen.state == "any" else chosen.state,
        prefix=chosen.prefix,
        group=chosen.group,
        due_after=chosen.due_after,
        due_before=chosen.due_before,
        overdue=chosen.overdue,
        limit=chosen.limit + 1,
    )
    async with database.read() as connection:
        found = await operators.listed(connection, wanted)
    more = len(found) > chosen.limit
    found = found[: chosen.limit]
    if chosen.json:
        _print_json({"timers": [_plain(each) for each in found], "more": more})
        return
    for each in found:
        sys.stdout.write(f"{_line(each)}\n")
    if not found:
        sys.stdout.write("no timer is like that\n")
    if more:
        sys.stdout.write("there are more: use --limit\n")


async def _show(database: Database, chosen: argparse.Namespace) -> None:
    async with database.read() as connection:
        timer = await _known(operators.shown(connection, chosen.key), chosen.key)
        actions = await operators.actions_of(connection, chosen.key)
    document = {**_plain(timer), "carries": _readable(timer), "operator_actions": actions}
    if chosen.json:
        _print_json(document)
        return
    for name, value in document.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        sys.stdout.write(f"{name:18} {text}\n")


async def _ticks(database: Database, chosen: argparse.Namespace) -> None:
    async with database.read() as connection:
        found = await operators.ticks(connection)
    wanted = service.pace_of(configure(Settings)).ticks
    found = [each for each in found if each["name"] in wanted]  # another replica may know others
    if chosen.json:
        _print_json({"ticks": found})
        return
    for each in found:
        due = _when(each["due_at"], each["late_seconds"])
        sys.stdout.write(f"{each['name']:24} every {each['period_seconds']:g} s, {due}\n")


async def _fire(database: Database, chosen: argparse.Namespace) -> None:
    await Partitions(database, SystemClock()).maintain()
    async with _deed(database, chosen, "fire") as (connection, timer):
        if not timer.fire_subject:
            raise RefusedError(f"{timer.key} was cancelled before it was set: it carries nothing")
        if timer.state != timers.ARMED and not chosen.again:
            raise RefusedError(f"{timer.key} is {timer.state}: use --again to fire it all the same")
        if chosen.dry_run:
            _answer(chosen, f"nothing was changed; it would send {timer.fire_subject} now", timer)
            return
        now = await operators.now_of(connection)
        claimed = await operators.take(connection, timer.key)
        settled = settling.settle(claimed, now, forced=True)
        if settled.held:
            raise RefusedError(f"{timer.key} has a calendar that this release does not know")
        uow = UnitOfWork(connection, now)
        jobs.emit(claimed, uow, now)
        await PostgresTimers().settle(connection, [settled])
        await uow.write()
        then = f"; due again {settled.due_at:%Y-%m-%d %H:%M} UTC" if settled.goes_on else ""
        said = f"fired: a running scheduler sends {timer.fire_subject} within seconds{then}"
        _answer(chosen, said, timer)


async def _cancel(database: Database, chosen: argparse.Namespace) -> None:
    async with _deed(database, chosen, "cancel") as (connection, timer):
        if timer.state != timers.ARMED:
            raise RefusedError(f"{timer.key} is {timer.state}: there is nothing to cancel")
        if chosen.dry_run:
            due = _when(timer.due_at, timer.late_seconds)
            _answer(chosen, f"nothing was changed; it would not fire ({due})", timer)
            return
        command = scheduler.CancelTimer(key=timer.key, version=timer.version)
        now = await operators.now_of(connection)
        await PostgresTimers().change(connection, [timers.tombstone(command, now)])
        _answer(chosen, f"cancelled at version {timer.version}", timer)


@asynccontextmanager
async def _deed(
    database: Database, chosen: argparse.Namespace, action: str
) -> AsyncIterator[tuple[Any, Shown]]:
    """Lock the timer for one deed and record it in the same transaction; a refusal as well."""
    refusal: RefusedError | None = None
    async with database.read() as connection, connection.transaction():
        await connection.execute("SELECT FROM timers WHERE key = $1 FOR UPDATE", chosen.key)
        timer = await _known(operators.shown(connection, chosen.key), chosen.key)
        try:
            yield connection, timer
        except RefusedError as error:
            refusal = error
        await operators.record(
            connection,
            chosen.key,
            action,
            actor=actor(),
            detail={
                "version": timer.version,
                "state": timer.state,
                "due_at": timer.due_at,
                "reason": chosen.reason,
            },
            dry_run=chosen.dry_run,
            outcome="refused" if refusal else "done",
        )
    if refusal is not None:
        raise refusal


async def _known(asked: Coroutine[Any, Any, Shown | None], key: str) -> Shown:
    timer = await asked
    if timer is None:
        raise RefusedError(f"no timer has the key {key}")
    return timer


def _answer(chosen: argparse.Namespace, sentence: str, timer: Shown) -> None:
    if chosen.json:
        document = {"key": timer.key, "version": timer.version, "dry_run": chosen.dry_run}
        _print_json({**document, "said": sentence})
    else:
        sys.stdout.write(f"{sentence}\n")


def _line(timer: Shown) -> str:
    when = _when(timer.due_at, timer.late_seconds) if timer.state == timers.ARMED else timer.state
    more = f" group {timer.group_name}" if timer.group_name else ""
    if timer.rule is not None:
        more += f" {timer.rule.time_zone}"
        if timer.rule.repeat is not None:
            more += f" every {timer.rule.repeat.every} {timer.rule.repeat.unit}"
    return f"{timer.key} v{timer.version} {timer.kind} {when}{more}"


def _when(due_at: datetime, late_seconds: float) -> str:
    moment = f"{due_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"overdue since {moment}" if late_seconds > 0 else f"due {moment}"


def _plain(timer: Shown) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(timer)
    plain.pop("fire_body")
    return plain


def _readable(timer: Shown) -> object:
    kind = CONTRACTS.get(timer.fire_subject)
    try:
        return msgspec.to_builtins(kind.decode(timer.fire_body)) if kind else timer.fire_body.hex()
    except msgspec.DecodeError:
        return timer.fire_body.hex()


def _print_json(document: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
