"""The terminal answers of an order, as they are written into its record and then told."""

from __future__ import annotations

from contracts.generator import JobCancelled, JobFailed, JobSucceeded, RunJob
from contracts.ids import OrderId, UserId
from contracts.media import MediaRef
from generator.domain.claims import Outcome, State


def succeeded(
    job: RunJob, epoch: int, outputs: tuple[MediaRef, ...], run_seconds: float
) -> Outcome:
    event = JobSucceeded(
        order_id=job.order_id,
        user_id=job.user_id,
        epoch=epoch,
        outputs=outputs,
        run_seconds=run_seconds,
    )
    return Outcome(state=State.SUCCEEDED, subject=event.subject, body=event.encode(), epoch=epoch)


def failed(
    order_id: OrderId, user_id: UserId, epoch: int, failure_class: str, detail: str = ""
) -> Outcome:
    """`user_id` is 0 for a job that could not be decoded."""
    event = JobFailed(
        order_id=order_id,
        user_id=user_id,
        epoch=epoch,
        failure_class=failure_class,
        detail=detail,
    )
    return Outcome(state=State.FAILED, subject=event.subject, body=event.encode(), epoch=epoch)


def cancelled(order_id: OrderId, user_id: UserId, epoch: int, reason: str) -> Outcome:
    event = JobCancelled(order_id=order_id, user_id=user_id, epoch=epoch, reason=reason)
    return Outcome(state=State.CANCELLED, subject=event.subject, body=event.encode(), epoch=epoch)
