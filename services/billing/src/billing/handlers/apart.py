"""Runs a batch of commands one by one, each in a savepoint, and answers each refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from billing.domain import moments
from billing.handlers import announce
from chassis.consumers import BatchHandler, Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError

Handle = Callable[..., Awaitable[None]]
Rejected = Callable[[UnitOfWork, Received[Any], RefusalError], Awaitable[None]]


async def command_rejected(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    announce.rejected(uow, each, error)


def apart(handle: Handle, rejected: Rejected = command_rejected, **parts: Any) -> BatchHandler:
    """The batch handler of `handle(message, uow, **parts)`: what it refuses leaves no trace.

    Unlike a single route's, its refusal knows the command's own id.
    """

    async def batch(received: Sequence[Received[Any]], uow: UnitOfWork) -> None:
        for each in received:
            mark = uow.mark()
            uow.traceparent, uow.message_id = each.traceparent, each.headers.id
            try:
                moments.check(each.message)
                async with uow.connection.transaction():
                    await handle(each.message, uow, **parts)
            except RefusalError as error:
                uow.rewind(mark)
                await rejected(uow, each, error)

    return batch
