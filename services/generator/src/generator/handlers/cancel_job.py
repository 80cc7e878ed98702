"""A cancel: decided by compare-and-set on the order's record, by whichever pod gets it."""

from __future__ import annotations

from chassis import logs
from chassis.clock import Clock
from contracts.generator import CancelJob
from contracts.topology import JOB_RECORD_TERMINAL_TTL
from generator.domain import claims, outcomes
from generator.domain.claims import CancelAnswer, decide_cancel
from generator.ports import Claims, Events, RevisionConflictError, StoredRecord

log = logs.get("generator.cancel")


async def cancel_job(command: CancelJob, *, records: Claims, events: Events, clock: Clock) -> None:
    """Answer at once where nobody runs the order; else its owner answers. Safe to repeat."""
    while True:
        stored = await records.read(command.order_id)
        answer = decide_cancel(stored.record if stored else None)
        try:
            await _carry_out(command, answer, stored, records, events, clock)
        except RevisionConflictError:
            continue
        log.info("cancel_decided", order_id=str(command.order_id), answer=answer.value)
        return


async def _carry_out(
    command: CancelJob,
    answer: CancelAnswer,
    stored: StoredRecord | None,
    records: Claims,
    events: Events,
    clock: Clock,
) -> None:
    match answer:
        case CancelAnswer.END_IT:
            await _end(command, stored, records, clock)
            await _tell(command, stored, events)
        case CancelAnswer.TELL_AGAIN:
            await _tell(command, stored, events)
        case CancelAnswer.ASK_OWNER:
            assert stored is not None
            asked = claims.cancel_asked(stored.record, command.reason)
            await records.write(command.order_id, asked, stored.revision)
        case CancelAnswer.TOO_LATE:
            return


async def _end(
    command: CancelJob, stored: StoredRecord | None, records: Claims, clock: Clock
) -> None:
    """Nobody runs it and nobody will: whoever is given the job later only acknowledges it."""
    record = stored.record if stored else None
    outcome = outcomes.cancelled(
        command.order_id, command.user_id, record.epoch if record else 0, command.reason
    )
    ended = claims.cancelled(record, outcome, command.reason, clock.now())
    revision = stored.revision if stored else await records.create(command.order_id, ended)
    await records.write(command.order_id, ended, revision, ttl=JOB_RECORD_TERMINAL_TTL)


async def _tell(command: CancelJob, stored: StoredRecord | None, events: Events) -> None:
    known = stored.record.outcome if stored else None
    epoch = stored.record.epoch if stored else 0
    outcome = known or outcomes.cancelled(command.order_id, command.user_id, epoch, command.reason)
    await events.tell_outcome(command.order_id, outcome)
