"""Asks other services what an update's router needs to know, before its transaction opens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from chassis import logs, rpc
from chassis.broker import Broker
from chassis.errors import TransientError
from contracts.billing import (
    Balance,
    GetBalance,
    GetHistory,
    GetPrice,
    GetQueuePosition,
    History,
    Price,
    QueuePosition,
)
from contracts.envelope import Reply, Request
from contracts.ids import OrderId
from contracts.payments import Charges, GetCharges, GetOffers, Offers
from contracts.rewards import DrawProof, GetDrawProof, GetRewards, Rewards
from contracts.vpn import Access, GetAccess
from gateway.ports import Reads

log = logs.get("gateway.reads")
REPLIES: dict[type[Request], type[Reply]] = {
    GetBalance: Balance,
    GetPrice: Price,
    GetHistory: History,
    GetQueuePosition: QueuePosition,
    GetRewards: Rewards,
    GetDrawProof: DrawProof,
    GetOffers: Offers,
    GetCharges: Charges,
    GetAccess: Access,
}


class Asking:
    """All reads of an update at once; one that is not answered in time is None, never an error."""

    def __init__(self, broker: Broker, *, timeout: timedelta) -> None:
        self._broker = broker
        self._timeout = timeout

    async def all(self, requests: Sequence[Request]) -> Reads:
        replies = await asyncio.gather(*(self.one(each) for each in requests))
        kinds = [REPLIES[type(each)] for each in requests]
        return Reads(dict(zip(kinds, replies, strict=True)))

    async def one(self, request: Request) -> Reply | None:
        try:
            return await rpc.request(
                self._broker, request, REPLIES[type(request)], timeout=self._timeout
            )
        except TransientError as error:
            log.warning("read_not_answered", subject=request.subject, reason=str(error))
            return None

    async def position(self, order_id: OrderId) -> QueuePosition | None:
        reply = await self.one(GetQueuePosition(order_id=order_id))
        return reply if isinstance(reply, QueuePosition) else None
