"""save_promo: an operator makes a promo code, or gives a known one other terms."""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain import promos
from billing.domain.errors import OvertakenError
from billing.ports.rewards import Rewards
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import CommandRejected
from contracts.errors import RefusalError
from contracts.rewards import PromoSaved, SavePromo

log = logs.get("billing.promos")


async def save_promos(
    received: Sequence[Received[SavePromo]], uow: UnitOfWork, *, rewards: Rewards
) -> None:
    codes = {promos.normal(each.message.code) for each in received}
    known = await rewards.promos.lock(uow.connection, list(filter(promos.is_code, codes)))
    for each in received:
        command = each.message
        try:
            code = promos.normal(command.code)
            promo = promos.promo_of(command, known.get(code))
            if not await uow.is_last_word(f"promo:{code}", each.headers.id):
                raise OvertakenError
        except RefusalError as error:
            event = CommandRejected(
                command_subject=command.subject, command_id=each.headers.id, code=error.code
            )
            uow.emit(event, traceparent=each.traceparent)
            log.info("promo_rejected", field=str(error))
            continue
        known[promo.code] = promo
        await rewards.promos.save(uow.connection, promo, command.actor, uow.now)
        saved = PromoSaved(
            code=promo.code,
            kind=promo.kind,
            value=promo.value,
            actor=command.actor,
            tier=promo.tier,
            used=promo.used,
            uses_max=promo.uses_max,
        )
        uow.emit(saved, traceparent=each.traceparent)
        log.info("promo_saved", kind=promo.kind, value=promo.value)
