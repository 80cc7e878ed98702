"""What tests of every service share: a clock of their own, and waiting without sleeping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from chassis import signing_keys
from chassis.clock import SystemClock, new_id
from chassis.publishing import OutgoingMessage
from chassis.signatures import Mode, Signatures, of_service
from contracts.envelope import Headers, Message
from contracts.ids import MessageId

POLL_SECONDS = 0.02


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.moment = now or datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def advance(self, span: timedelta) -> None:
        self.moment += span


def signatures_of(folder: Path, party: str, mode: str = Mode.REQUIRE) -> Signatures:
    """Sign and judge as a party does, with keys that `signing_keys.ensure` made in `folder`."""
    return of_service(
        party,
        mode=mode,
        key_file=str(signing_keys.private_file(folder, party)),
        verify_keys=str(signing_keys.verify_folder(folder)),
    )


def wire(message_id: UUID | None = None) -> dict[str, str]:
    """Headers of a message that is made now."""
    return Headers(id=MessageId(message_id or new_id()), sent_at=SystemClock().now()).to_wire()


def signed(folder: Path, party: str, message: Message) -> OutgoingMessage:
    """A message as a party would publish it now."""
    headers = wire()
    body = message.encode()
    signatures_of(folder, party).sign(message.subject, body, headers)
    return OutgoingMessage(message.subject, body, headers)


async def drain(
    condition: Callable[[], Awaitable[object] | object],
    *,
    within: timedelta = timedelta(seconds=30),
    what: str = "the condition",
) -> None:
    """Wait until `condition` is true; raise AssertionError naming `what` when time runs out."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within.total_seconds()
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not come true within {within}")
        await asyncio.sleep(POLL_SECONDS)
