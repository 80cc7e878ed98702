"""A delivered job meets its record: whether it may run here, and what it is told if not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chassis import logs
from contracts.ids import OrderId
from generator.domain.claims import Answer, Decision, Delivered, decide_claim
from generator.handlers.claim import Claim
from generator.handlers.tools import Tools
from generator.ports import Arrival, RevisionConflictError, StoredRecord

log = logs.get("generator.accept")


async def accept_job(
    tools: Tools, arrival: Arrival, prompt_id: str, *, in_hand: bool, held: Sequence[OrderId]
) -> tuple[Answer, Claim | None]:
    """Claim the order, or settle the delivery; the claim is None when there is nothing to run.

    `held` are the orders of this server, this one included: noted beside the claim, so that a
    restart finds them at once (a lost note costs it the wait for a redelivery). A job nobody has
    seen is tried first: it costs one write and no read.
    """
    assert arrival.order_id is not None
    delivered = Delivered(
        job=arrival.body,
        lane=arrival.lane,
        ack_subject=arrival.ack_subject,
        traceparent=arrival.traceparent,
        prompt_id=prompt_id,
    )
    stored: StoredRecord | None = None
    while True:
        decision = decide_claim(
            stored.record if stored else None,
            delivered,
            server=tools.server.name,
            in_hand=in_hand,
            now=tools.clock.now(),
            limits=tools.limits,
        )
        try:
            note = tools.claims.note_held(tools.server.name, held)
            claim, _ = await asyncio.gather(_carry_out(tools, arrival, decision, stored), note)
        except RevisionConflictError:
            stored = await tools.claims.read(arrival.order_id)
        else:
            if decision.answer != Answer.CREATE:
                log.info("job_met", order_id=str(arrival.order_id), answer=decision.answer.value)
            return decision.answer, claim


async def _carry_out(
    tools: Tools, arrival: Arrival, decision: Decision, stored: StoredRecord | None
) -> Claim | None:
    assert arrival.order_id is not None
    match decision.answer:
        case Answer.ACK_ONLY:
            await tools.settlement.ack(arrival.ack_subject)
            return None
        case Answer.HAND_BACK:
            await tools.settlement.hand_back(arrival.ack_subject, decision.delay)
            return None
        case Answer.ALREADY_HERE:
            return None
        case _:
            record = decision.record
            assert record is not None
            if stored is None:
                revision = await tools.claims.create(arrival.order_id, record)
            else:
                revision = await tools.claims.write(arrival.order_id, record, stored.revision)
            claimed = StoredRecord(record=record, revision=revision)
            return Claim(tools.claims, arrival.order_id, claimed)
