"""A way to pay needs an operator."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.payments import ProviderAlarmed
from gateway.domain.screens import payment
from gateway.handlers import operators
from gateway.ports import Shop


async def provider_alarmed(event: ProviderAlarmed, uow: UnitOfWork, *, shop: Shop) -> None:
    await operators.tell(uow, lambda say: payment.operators_alarm(say, event), shop=shop)
