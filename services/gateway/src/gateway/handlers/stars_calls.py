"""Asks Telegram something about Stars until it is done or refused, and says how that ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from chassis.effects import Effect, EffectKind, EffectResult
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.envelope import Command, Event
from gateway.ports import StarsRefusedError

ATTEMPTS_MAX = 60
"""With the runtime's backoff about five hours: money is not given up over an outage."""
LASTS_MAX = timedelta(seconds=30)
CommandT = TypeVar("CommandT", bound=Command)


def asking(
    name: str,
    kind: type[CommandT],
    ask: Callable[[CommandT], Awaitable[None]],
    answer: Callable[[CommandT, str], Event],
) -> EffectKind:
    """The call that a command of `kind` leads to. Asked twice, Telegram changes nothing more.

    `answer` makes the event of the end: with a code of contracts.errors when it was refused.
    """

    async def call(effect: Effect) -> EffectResult:
        command = kind.decode(effect.body)
        try:
            await ask(command)
        except StarsRefusedError as error:
            return EffectResult.failed(error.code, telling(command, error.code))
        except TransientError as error:
            if error.retry_after is None:
                return EffectResult.unknown(type(error).__name__)
            return EffectResult.retry(type(error).__name__, error.retry_after)
        return EffectResult.done(telling(command, ""))

    def telling(command: CommandT, code: str) -> Callable[[UnitOfWork], Awaitable[None]]:
        async def tell(uow: UnitOfWork) -> None:
            uow.emit(answer(command, code))

        return tell

    async def gave_up(effect: Effect, uow: UnitOfWork) -> None:
        await telling(kind.decode(effect.body), errors.PROVIDER_FAILED)(uow)

    return EffectKind(
        name=name, call=call, gave_up=gave_up, attempts_max=ATTEMPTS_MAX, lease=LASTS_MAX
    )
