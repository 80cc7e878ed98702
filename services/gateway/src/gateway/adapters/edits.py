"""Holds edits nobody waits for back, so that a message changes at most once in a few seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chassis import logs
from chassis.background import Background, contained
from contracts.generator import shard_of
from contracts.ids import UserId
from gateway.ports import Screen

log = logs.get("gateway.edits")
FINISHED_MAX = 20_000
LET_GO_SECONDS_MAX = 8.0
Place = tuple[int, int]
Edit = Callable[[int, int, Screen], Awaitable[None]]


class Edits:
    """Progress of running orders: the latest wins, at most one per interval and message.

    An answer to a tap goes past this class at once and cancels what waits; after a final text
    nothing touches the message any more. Nor does anything where another replica speaks now: its
    final text is not known here.
    """

    def __init__(
        self,
        background: Background,
        *,
        interval: timedelta,
        held: Callable[[], frozenset[int]],
    ) -> None:
        self._background = background
        self._held = held
        self._interval = interval.total_seconds()
        self._waiting: dict[Place, Screen] = {}
        self._timers: dict[Place, asyncio.TimerHandle] = {}
        self._last: OrderedDict[Place, float] = OrderedDict()
        self._finished: OrderedDict[Place, None] = OrderedDict()
        self._under_way: dict[asyncio.Task[None], int] = {}
        """The shard of each edit being made now."""
        self._carry_out: Edit | None = None

    def connect(self, carry_out: Edit) -> None:
        """Say who makes the edits; it must not raise."""
        self._carry_out = carry_out

    def offer(self, chat_id: int, message_id: int, screen: Screen) -> None:
        """Show this when the message may change again; a newer offer replaces it."""
        place = (chat_id, message_id)
        if not self.may_change(*place):
            return
        self._waiting[place] = screen
        if place not in self._timers:
            loop = asyncio.get_running_loop()
            last = self._last.get(place, -self._interval)
            self._timers[place] = loop.call_at(
                max(loop.time(), last + self._interval), self._due, place
            )

    def _due(self, place: Place) -> None:
        self._timers.pop(place, None)
        screen = self._waiting.pop(place, None)
        if screen is None or self._carry_out is None:
            return
        self._touch(place)
        making = self._background.spawn(self._now(place, screen), name="progress-edit")
        self._under_way[making] = _shard(place[0])
        making.add_done_callback(self._under_way.pop)

    async def _now(self, place: Place, screen: Screen) -> None:
        assert self._carry_out is not None
        if not self.may_change(*place):
            return
        await contained(self._carry_out(*place, screen), name="progress-edit")

    def cancel(self, chat_id: int, message_id: int) -> None:
        """The message is being changed by an answer: what waits is older."""
        place = (chat_id, message_id)
        self._waiting.pop(place, None)
        timer = self._timers.pop(place, None)
        if timer is not None:
            timer.cancel()
        self._touch(place)

    def finish(self, chat_id: int, message_id: int) -> None:
        """The last word is being said."""
        self.cancel(chat_id, message_id)
        self._finished[chat_id, message_id] = None
        while len(self._finished) > FINISHED_MAX:
            self._finished.popitem(last=False)

    def may_change(self, chat_id: int, message_id: int) -> bool:
        """Whether the last word was not said yet, and would be said here."""
        return (chat_id, message_id) not in self._finished and _shard(chat_id) in self._held()

    async def let_go(self, shards: frozenset[int]) -> None:
        """Forget what waits there and finish what is being made: others speak there from now on."""
        for place in [each for each in self._waiting if _shard(each[0]) in shards]:
            self.cancel(*place)
        making = [task for task, shard in self._under_way.items() if shard in shards]
        if making:
            _, left = await asyncio.wait(making, timeout=LET_GO_SECONDS_MAX)
            if left:
                log.warning("edits_left_at_work", count=len(left))

    def _touch(self, place: Place) -> None:
        self._last[place] = asyncio.get_running_loop().time()
        self._last.move_to_end(place)
        while len(self._last) > FINISHED_MAX:
            self._last.popitem(last=False)


def _shard(chat_id: int) -> int:
    """Orders are made in private chats, whose ids are their people's."""
    return shard_of(UserId(chat_id))
