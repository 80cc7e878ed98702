"""Tasks that end together, without a trace left on whoever waited for them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class TaskGroup(asyncio.TaskGroup):
    """asyncio's own, which before 3.13 leaves its parent a cancel that nobody asked for.

    A task that fails while the parent waits makes the group cancel the parent, and never takes
    that back. On 3.11.2 the next `asyncio.timeout` to run out then ends the parent for good, as
    cancelled: nothing is logged, and a loop that should go on is gone.
    """

    _parent_cancel_requested: bool  # asyncio's, of 3.11 to 3.14

    async def __aenter__(self) -> Self:
        parent = asyncio.current_task()
        assert parent is not None
        self._parent = parent
        self._cancels_before = parent.cancelling()
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        taken_back = self._parent_cancel_requested  # before it waits, asyncio does so itself
        try:
            await super().__aexit__(exc_type, exc, traceback)
        except BaseExceptionGroup:
            if self._parent_cancel_requested and not taken_back:
                self._parent.uncancel()
            if self._parent.cancelling() > self._cancels_before:
                # From outside, and hidden by the group of errors: told again, as 3.13 does.
                self._parent.uncancel()
                self._parent.cancel()
            raise
