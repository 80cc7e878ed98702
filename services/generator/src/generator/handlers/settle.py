"""How an order leaves this pod: decided in its record, told, acknowledged, closed."""

from __future__ import annotations

from datetime import timedelta

from chassis import logs, metrics
from contracts.topology import JOB_RECORD_TERMINAL_TTL
from generator.domain import claims
from generator.domain.claims import Outcome
from generator.handlers.claim import Claim
from generator.handlers.tools import Tools

log = logs.get("generator.settle")
ENDED = metrics.counter("generator.jobs", description="Orders ended, by outcome")


async def settle(tools: Tools, claim: Claim, outcome: Outcome) -> None:
    """Decide the order by compare-and-set, then tell it. Raises ClaimLostError before deciding.

    Whoever finds the record in SETTLING tells the same outcome under the same ids.
    """
    await claim.change(lambda record: claims.settling(record, outcome, tools.clock.now()))
    await finish(tools, claim)


async def finish(tools: Tools, claim: Claim) -> None:
    """Tell the outcome that is decided, acknowledge the job, close the record."""
    outcome = claim.record.outcome
    assert outcome is not None
    await tools.events.tell_outcome(claim.order_id, outcome)
    await tools.settlement.ack(claim.record.ack_subject)
    await claim.change(
        lambda record: claims.finished(record, tools.clock.now()), ttl=JOB_RECORD_TERMINAL_TTL
    )
    ENDED.add(1, {"outcome": outcome.state})
    log.info("job_ended", order_id=str(claim.order_id), outcome=outcome.state, epoch=claim.epoch)


async def give_back(
    tools: Tools,
    claim: Claim,
    *,
    reason: str,
    kind: str = "",
    avoid: str = "",
    delay: timedelta = timedelta(0),
) -> None:
    """Free the order for any server; with a `kind` its attempt here counts."""
    ack_subject = claim.record.ack_subject
    await claim.change(
        lambda record: claims.given_back(record, tools.clock.now(), kind=kind, avoid=avoid)
    )
    await tools.settlement.hand_back(ack_subject, delay)
    log.info("job_given_back", order_id=str(claim.order_id), reason=reason, counted=bool(kind))
