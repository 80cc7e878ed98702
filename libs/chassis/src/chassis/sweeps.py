"""Work found by a query: done in one transaction, or one by one where something in it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from chassis import logs
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork

log = logs.get("chassis.sweeps")
T = TypeVar("T")


async def each_or_all(
    outbox: Outbox, found: Sequence[T], handle: Callable[[Sequence[T], UnitOfWork], Awaitable[None]]
) -> int:
    """Handle everything at once; if that fails, each alone. Return how many were handled.

    What fails alone is logged and left where it is: it must not stop the others for ever.
    Raises what says that the database is away: then nothing else would work either.
    """
    try:
        async with outbox.begin() as uow:
            await handle(found, uow)
        return len(found)
    except (TransientError, *RETRYABLE):
        raise
    except Exception:
        log.exception("sweep_goes_one_by_one", found=len(found))
    handled = 0
    for one in found:
        try:
            async with outbox.begin() as uow:
                await handle([one], uow)
            handled += 1
        except (TransientError, *RETRYABLE):
            raise
        except Exception:
            log.exception("sweep_leaves_one")
    return handled
