"""Billing's command line: run, migrate, and what an operator does by hand."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pydantic_settings import SettingsConfigDict

from billing import main as service
from billing.adapters import exports
from billing.adapters.audit import PostgresAuditor
from billing.domain.ledger import GRANTABLE
from billing.domain.tiers import TIERS
from billing.settings import Settings
from chassis import command_line
from chassis.clock import SystemClock, new_id
from chassis.command_line import EXIT_NO_ANSWER, EXIT_REFUSED, actor, as_operator, send, words
from chassis.database import Database
from chassis.service import configure
from chassis.settings import ServiceSettings
from contracts.billing import CommandRejected, CreditsGranted, GrantCredits, SetTier, TierSet
from contracts.envelope import Command, Event
from contracts.errors import ALREADY_GRANTED, NEEDS_SECOND_PERSON

ANSWER_TIMEOUT_SECONDS = 10.0
EXIT_DRIFT = 1
Answered = TypeVar("Answered", bound=Event)


class ConnectionSettings(ServiceSettings):
    """Commands to a running billing need the broker alone."""

    model_config = SettingsConfigDict(env_prefix="BILLING_", extra="ignore")


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    command_line.dispatch(chosen, name="billing", run=service.main, migrate=service.migrate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="billing", description="Credits, orders, the ledger.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="run the service (the default)")
    commands.add_parser("migrate", help="bring the schema to this release")
    audit = commands.add_parser("audit", help="recompute every balance; exit 1 on drift")
    audit.set_defaults(work=_audit)
    export = commands.add_parser("export", help="write a period's books into a file")
    export.add_argument("kind", choices=exports.KINDS)
    export.add_argument("file", type=Path, help="ends in .csv or .parquet")
    export.add_argument("--since", type=_day, required=True, help="first day, UTC: 2026-11-01")
    export.add_argument("--until", type=_day, required=True, help="the day after the last")
    export.set_defaults(work=_export)
    grant = commands.add_parser("grant", help="add credits, once per key")
    grant.add_argument("user_id", type=int)
    grant.add_argument("credits", type=int)
    grant.add_argument("--reason", required=True, type=words)
    grant.add_argument("--lot", choices=sorted(GRANTABLE), default="bonus")
    grant.add_argument("--days", type=int, help="the credits expire after so many days")
    grant.add_argument("--key", help="names the reason once; without it every call adds again")
    grant.set_defaults(work=_grant)
    tier = commands.add_parser("set-tier", help="give a tier, or take it with `none`")
    tier.add_argument("user_id", type=int)
    tier.add_argument("tier", choices=sorted(TIERS))
    tier.add_argument("--reason", required=True, type=words)
    tier.add_argument("--days", type=int, help="it ends after so many days; without: never")
    tier.set_defaults(work=_set_tier)
    return parser


async def _audit(_chosen: argparse.Namespace) -> int:
    async with _database("billing-audit") as database:
        report = await PostgresAuditor(database).audit()
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 0 if report.healthy else EXIT_DRIFT


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time.min, UTC)


async def _export(chosen: argparse.Namespace) -> int:
    async with _database("billing-export") as database:
        try:
            count = await exports.export(
                database, chosen.kind, chosen.since, chosen.until, chosen.file
            )
        except (ValueError, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return EXIT_REFUSED
    sys.stdout.write(f"{count} {chosen.kind} written to {chosen.file}\n")
    return 0


@asynccontextmanager
async def _database(name: str) -> AsyncIterator[Database]:
    settings = configure(Settings)
    database = await Database.connect(
        settings.login, schema=service.SCHEMA, pool_max=2, application_name=name
    )
    try:
        yield database
    finally:
        await database.close()


async def _grant(chosen: argparse.Namespace) -> int:
    message_id = new_id()
    expires_at = SystemClock().now() + timedelta(days=chosen.days) if chosen.days else None
    command = GrantCredits(
        grant_key=chosen.key or f"operator:{message_id}",
        user_id=chosen.user_id,
        credits=chosen.credits,
        reason=chosen.reason,
        actor=actor(),
        lot=chosen.lot,
        expires_at=expires_at,
    )
    answer = await _ask(
        command, message_id, CreditsGranted, lambda event: event.grant_key == command.grant_key
    )
    if isinstance(answer, CreditsGranted):
        sys.stdout.write(f"granted {answer.credits} {answer.lot} credits to {answer.user_id}\n")
    return _exit_code(answer, command.grant_key)


async def _set_tier(chosen: argparse.Namespace) -> int:
    until = SystemClock().now() + timedelta(days=chosen.days) if chosen.days else None
    command = SetTier(
        user_id=chosen.user_id,
        tier=chosen.tier,
        reason=chosen.reason,
        actor=actor(),
        until=until,
    )
    answer = await _ask(command, new_id(), TierSet, lambda event: event.user_id == command.user_id)
    if isinstance(answer, TierSet):
        until_text = f" until {answer.until:%Y-%m-%d %H:%M} UTC" if answer.until else ""
        sys.stdout.write(f"tier of {answer.user_id} is {answer.tier}{until_text}\n")
    return _exit_code(answer, str(command.user_id))


def _exit_code(answer: Event | None, key: str = "") -> int:
    if answer is None:
        sys.stderr.write("no answer: is billing running? The command stays queued.\n")
        return EXIT_NO_ANSWER
    if isinstance(answer, CommandRejected):
        if answer.code == ALREADY_GRANTED:
            sys.stdout.write("already granted under this key: nothing was added\n")
            return 0
        sys.stderr.write(f"rejected: {answer.code}\n")
        if answer.code == NEEDS_SECOND_PERSON:
            sys.stderr.write(f"so much needs a second person, who runs: vitrine approve {key}\n")
        return EXIT_REFUSED
    return 0


async def _ask(
    command: Command, message_id: Any, wanted: type[Answered], matches: Callable[[Answered], bool]
) -> Answered | CommandRejected | None:
    """Publish a command and wait for the event that answers it; None when none comes in time."""
    answer: asyncio.Future[Answered | CommandRejected] = asyncio.get_running_loop().create_future()

    async def heard(message: Any) -> None:
        if answer.done():
            return
        if message.subject == CommandRejected.subject:
            rejection = CommandRejected.decode(message.body)
            if rejection.command_id == message_id:
                answer.set_result(rejection)
            return
        event = wanted.decode(message.body)
        if matches(event):
            answer.set_result(event)

    async with as_operator(configure(ConnectionSettings), "billing-cli") as broker:
        for subject in (wanted.subject, CommandRejected.subject):
            await broker.subscribe(subject, heard)
        await send(broker, command, message_id)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                return await answer
        except TimeoutError:
            return None
