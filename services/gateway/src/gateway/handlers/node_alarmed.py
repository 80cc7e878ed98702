"""A VPN node needs an operator."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import NodeAlarmed
from gateway.domain.screens import vpn_news
from gateway.handlers import operators
from gateway.ports import Shop


async def node_alarmed(event: NodeAlarmed, uow: UnitOfWork, *, shop: Shop) -> None:
    await operators.tell(uow, lambda say: vpn_news.operators_node(say, event), shop=shop)
