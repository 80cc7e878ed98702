"""One transaction's work on orders: loaded when asked for, recorded together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import datetime
from typing import Self

from chassis.outbox import UnitOfWork
from contracts.ids import OrderId
from vpn.domain import purchases
from vpn.domain.access import Given, Subscription
from vpn.ports import Books, Grant

CHAIN_MAX = 100
"""Nobody's order is late by more, or refunded after more."""


class Orders:
    """Opened with the orders concerned, under the locks of their people; closed once."""

    def __init__(self, uow: UnitOfWork, books: Books, known: dict[OrderId, Grant]) -> None:
        self._uow = uow
        self._books = books
        self._known = known
        self._new: set[OrderId] = set()
        self._changed: set[OrderId] = set()

    @classmethod
    async def open(cls, uow: UnitOfWork, books: Books, order_ids: Collection[OrderId]) -> Self:
        return cls(uow, books, await books.grants.find(uow.connection, sorted(set(order_ids))))

    def get(self, order_id: OrderId) -> Grant | None:
        """One of those it was opened with, or added since."""
        return self._known.get(order_id)

    def last_of(self, one: Subscription) -> Given | None:
        """What it runs on."""
        grant = self._known.get(OrderId(one.last_order)) if one.last_order else None
        return grant.given if grant is not None else None

    async def chosen_after(self, one: Subscription, moment: datetime | None) -> list[Given]:
        """Newest first."""
        found: list[Given] = []
        async for each in self._chain(one):
            if not purchases.follows(each, moment):
                break
            found.append(each)
        return found

    async def after(self, one: Subscription, order_id: OrderId) -> list[Given]:
        """What was given after an order it runs on, newest first; empty: it runs on none such."""
        found: list[Given] = []
        async for each in self._chain(one):
            if each.order_id == order_id:
                return found
            found.append(each)
        return []

    async def _chain(self, one: Subscription) -> AsyncIterator[Given]:
        order_id = one.last_order
        for _ in range(CHAIN_MAX):
            if order_id is None:
                return
            grant = self._known.get(OrderId(order_id))
            if grant is None:
                self._known |= await self._books.grants.find(
                    self._uow.connection, [OrderId(order_id)]
                )
                grant = self._known.get(OrderId(order_id))
            if grant is None or grant.given is None:
                return
            yield grant.given
            order_id = grant.given.order_before

    def add(self, grant: Grant) -> None:
        self._known[grant.order_id] = grant
        self._new.add(grant.order_id)

    def change(self, given: Given) -> None:
        order_id = OrderId(given.order_id)
        self._known[order_id] = replace(self._known[order_id], given=given)
        if order_id not in self._new:
            self._changed.add(order_id)

    async def close(self) -> None:
        connection = self._uow.connection
        new = [grant for order_id, grant in self._known.items() if order_id in self._new]
        await self._books.grants.add(connection, new, self._uow.now)
        changed = [
            grant.given
            for order_id, grant in self._known.items()
            if order_id in self._changed and grant.given is not None
        ]
        await self._books.grants.change(connection, changed)
