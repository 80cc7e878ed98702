"""A service's command line: the service, its migrations, and what an operator asks for by hand."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.errors import ConfigurationError, TransientError
from chassis.identity import Identity, impatient
from chassis.service import EXIT_MISCONFIGURED
from chassis.settings import ServiceSettings
from chassis.signatures import decided, of_operator
from contracts.envelope import Command, Headers
from contracts.ids import MessageId

EXIT_REFUSED = 1
EXIT_NO_ANSWER = 3
Work = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


def dispatch(
    chosen: argparse.Namespace,
    *,
    name: str,
    run: Callable[[], None],
    migrate: Callable[[], None],
    work: Work | None = None,
) -> None:
    """Do what was chosen; end with the code its work returns. What is wrong is a sentence."""
    if chosen.command in (None, "run"):
        run()
        return
    if chosen.command == "migrate":
        migrate()
        return
    own: Work = work or chosen.work
    try:
        sys.exit(asyncio.run(own(chosen)))
    except TransientError as error:
        sys.stderr.write(f"no answer: is {name} running? ({error})\n")
        sys.exit(EXIT_NO_ANSWER)
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        sys.exit(EXIT_MISCONFIGURED)


def words(text: str) -> str:
    """A reason for the books: argparse refuses one that says nothing."""
    if not text.strip():
        raise argparse.ArgumentTypeError("say why, in words")
    return text.strip()


def actor() -> str:
    return f"cli:{getpass.getuser()}"


@asynccontextmanager
async def as_operator(settings: ServiceSettings, name: str) -> AsyncIterator[Broker]:
    broker = await Broker.connect(
        settings.nats_url,
        name=name,
        identity=Identity.of_operator(settings),
        on_refused=impatient,
        on_fatal=sys.exit,
        signatures=of_operator(mode=settings.signatures, key_file=settings.signing_key_file),
    )
    try:
        yield broker
    finally:
        await broker.close(timedelta(seconds=2))


async def send(broker: Broker, command: Command, message_id: UUID) -> None:
    """Raises ConfigurationError where nobody has said how messages are signed."""
    decided(broker.signatures)
    headers = Headers(id=MessageId(message_id), sent_at=SystemClock().now())
    await broker.publish(command.subject, command.encode(), headers.to_wire())
