"""Days were given to everybody: tell the operators how many people that were."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import EverybodyExtended
from gateway.domain.screens import vpn_news
from gateway.handlers import operators
from gateway.ports import Shop


async def everybody_extended(event: EverybodyExtended, uow: UnitOfWork, *, shop: Shop) -> None:
    await operators.tell(uow, lambda say: vpn_news.operators_extended(say, event), shop=shop)
