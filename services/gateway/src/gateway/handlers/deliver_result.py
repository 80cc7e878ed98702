"""Send a completed order's result unless that was done: billing asks when it heard of no end."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.gateway import DeliverResult
from contracts.money import NO_CREDITS
from gateway.domain.screens import outcome
from gateway.handlers import audience, results
from gateway.ports import Shop


async def deliver_result(command: DeliverResult, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, command.user_id, shop=shop)
    shown = await shop.screens.find(uow, command.order_id)
    note = outcome.result_note(
        person.say,
        command.charged_credits,
        gift=command.gift,
        available=None,
        base=shown.base_price_credits if shown is not None else NO_CREDITS,
    )
    await results.queue(
        uow,
        person,
        command.outputs,
        order_id=command.order_id,
        title=shop.title(person.say, command.workflow_id),
        note=note,
        shown=shown,
        shop=shop,
    )
