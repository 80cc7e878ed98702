"""Keeps the queue positions people see up to date, without flooding anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from chassis import logs
from chassis.database import UNAVAILABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox
from contracts.billing import QueuePosition
from contracts.ids import OrderId
from gateway.domain import keys, order_screen, positions
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screens import order
from gateway.handlers import audience
from gateway.ports import EDIT, Shop

log = logs.get("gateway.positions")
EVERY = timedelta(seconds=5)
ORDERS_MAX = 64
"""So many are asked about in one round; the next round goes on behind them."""
ASKED_AT_ONCE = 8
QUEUED = "accepted"
"""Billing's word for an order whose job has not started."""
_FIRST = OrderId(UUID(int=0))

Ask = Callable[[OrderId], Awaitable[QueuePosition | None]]
"""Billing's answer about one order, or None when it does not answer in time."""


class PositionRefresher:
    """One loop per replica, for the people of the shards it holds."""

    def __init__(
        self,
        shop: Shop,
        outbox: Outbox,
        *,
        ask: Ask,
        held: Callable[[], Collection[int]],
        every: timedelta = EVERY,
    ) -> None:
        self._shop = shop
        self._outbox = outbox
        self._ask = ask
        self._held = held
        self._every = every.total_seconds()
        self._after = _FIRST

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.refresh()
            except (TransientError, *UNAVAILABLE) as error:
                log.warning("positions_postponed", reason=type(error).__name__)
            try:
                async with asyncio.timeout(self._every):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> int:
        """One round; return how many messages it changed."""
        shards = self._held()
        if not shards:
            return 0
        async with self._outbox.begin() as uow:
            found = await self._shop.screens.queued(
                uow, shards=shards, after=self._after, limit=ORDERS_MAX
            )
        self._after = found[-1].order_id if len(found) == ORDERS_MAX else _FIRST
        changed = 0
        for start in range(0, len(found), ASKED_AT_ONCE):
            some = found[start : start + ASKED_AT_ONCE]
            answers = await asyncio.gather(*(self._ask(shown.order_id) for shown in some))
            for shown, answer in zip(some, answers, strict=True):
                if answer is not None and _worth_showing(shown, answer):
                    changed += await self._show(shown.order_id, answer)
        return changed

    async def _show(self, order_id: OrderId, answer: QueuePosition) -> bool:
        """Read again under lock: the order may have started while billing was asked."""
        shop = self._shop
        async with self._outbox.begin() as uow:
            shown = await shop.screens.find(uow, order_id)
            if shown is None or shown.cancel_asked or shown.state != order_screen.ACCEPTED:
                return False
            await shop.screens.save(uow, replace(shown, shown_ahead=answer.ahead))
            person = await audience.find(uow, shown.user_id, shop=shop)
            await shop.deliveries.queue(
                uow,
                user_id=shown.user_id,
                screen=order.queued(
                    person.say,
                    shop.title(person.say, shown.workflow_id),
                    order_id,
                    ahead=answer.ahead,
                    eta_seconds=answer.eta_seconds,
                ),
                kind=EDIT,
                key=keys.order(order_id),
            )
        return True


def _worth_showing(shown: OrderScreen, answer: QueuePosition) -> bool:
    return answer.state == QUEUED and positions.worth_showing(shown.shown_ahead, answer.ahead)
