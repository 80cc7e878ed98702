"""The record `jobs/<order_id>`: who may run an order now, and every step it can take."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from contracts.ids import OrderId


class State(StrEnum):
    """Life of a job record. CLAIMED and RUNNING are live; SETTLING only waits to be told."""

    CLAIMED = "claimed"
    RUNNING = "running"
    FREE = "free"
    SETTLING = "settling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = frozenset({State.CLAIMED, State.RUNNING})
TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
SILENT_OWNER = "silent_owner"
"""Tallied when a job is taken from an owner that stopped renewing: the job may have killed it."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one terminal answer, written down before it is told so that any pod can tell it again.

    `epoch` is the epoch that decided it: the event's id derives from it, so a repeat is the same.
    """

    state: str
    subject: str
    body: bytes
    epoch: int


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fence of one order: only the owner of the highest epoch may settle anything."""

    epoch: int
    state: str
    renewed_at: datetime
    server: str = ""
    prompt_id: str = ""
    cancel: str = ""
    ack_subject: str = ""
    lane: str = ""
    traceparent: str = ""
    job: bytes = b""
    """The RunJob as it came, so that a restarted pod needs no second delivery."""
    avoid: str = ""
    """A server this job just failed on: for a while it leaves the job to others."""
    failures: tuple[str, ...] = ()
    """One failure kind per attempt that ended badly; the next attempt is one more than these."""
    adoptions: int = 0
    """How often a restarted pod picked the job up again: a job that kills its pod must end."""
    outcome: Outcome | None = None

    @property
    def attempt(self) -> int:
        return len(self.failures) + 1

    def owned_by(self, server: str, epoch: int) -> bool:
        return self.server == server and self.epoch == epoch and self.state not in TERMINAL


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Patience with other pods."""

    silence: timedelta = timedelta(seconds=30)
    elsewhere_patience: timedelta = timedelta(seconds=10)
    avoid_delay: timedelta = timedelta(seconds=1)

    @property
    def busy_delay(self) -> timedelta:
        """An order in other hands is looked at six times before its owner counts as silent."""
        return self.silence / 6


class Answer(StrEnum):
    """What to do with a delivered job, given its record."""

    CREATE = "create"
    TAKE = "take"
    REATTACH = "reattach"
    FINISH = "finish"
    ALREADY_HERE = "already_here"
    ACK_ONLY = "ack_only"
    HAND_BACK = "hand_back"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`record` is what to write where the answer is CREATE, TAKE, REATTACH or FINISH."""

    answer: Answer
    record: JobRecord | None = None
    delay: timedelta = timedelta(0)


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it came: what a claim writes into the record."""

    job: bytes
    lane: str
    ack_subject: str
    traceparent: str
    prompt_id: str


def decide_claim(
    record: JobRecord | None,
    delivered: Delivered,
    *,
    server: str,
    in_hand: bool,
    now: datetime,
    limits: Limits,
) -> Decision:
    """Whether this server may run the job. `in_hand`: it is already running it."""
    if record is None:
        return Decision(answer=Answer.CREATE, record=_fresh(delivered, server, now))
    if record.state in TERMINAL:
        return Decision(answer=Answer.ACK_ONLY)
    if record.state == State.FREE:
        recent = now - record.renewed_at < limits.elsewhere_patience
        if record.avoid == server and recent:
            return Decision(answer=Answer.HAND_BACK, delay=limits.avoid_delay)
        return Decision(answer=Answer.TAKE, record=_taken(record, delivered, server, now))
    silent = now - record.renewed_at >= limits.silence
    mine = record.server == server
    if mine and in_hand:
        return Decision(answer=Answer.ALREADY_HERE)
    if not (mine or silent):
        return Decision(answer=Answer.HAND_BACK, delay=limits.busy_delay)
    if record.state == State.SETTLING:
        finished = adopted(record, server, now, ack_subject=delivered.ack_subject)
        return Decision(answer=Answer.FINISH, record=finished)
    if mine:
        again = adopted(record, server, now, ack_subject=delivered.ack_subject)
        return Decision(answer=Answer.REATTACH, record=again)
    taken = _taken(failed_attempt(record, SILENT_OWNER), delivered, server, now)
    return Decision(answer=Answer.TAKE, record=taken)


def _fresh(delivered: Delivered, server: str, now: datetime) -> JobRecord:
    return JobRecord(
        epoch=1,
        state=State.CLAIMED,
        renewed_at=now,
        server=server,
        prompt_id=delivered.prompt_id,
        ack_subject=delivered.ack_subject,
        lane=delivered.lane,
        traceparent=delivered.traceparent,
        job=delivered.job,
    )


def _taken(record: JobRecord, delivered: Delivered, server: str, now: datetime) -> JobRecord:
    return msgspec.structs.replace(
        record,
        epoch=record.epoch + 1,
        state=State.CLAIMED,
        renewed_at=now,
        server=server,
        prompt_id=delivered.prompt_id,
        ack_subject=delivered.ack_subject,
        lane=delivered.lane,
        traceparent=delivered.traceparent or record.traceparent,
        job=delivered.job,
        avoid="",
    )


def adopted(
    record: JobRecord,
    server: str,
    now: datetime,
    *,
    ack_subject: str = "",
    counted: bool = True,
) -> JobRecord:
    """The next epoch of a record whose prompt goes on: the pod before this one is fenced off.

    `counted`: a process died in between; a lease that was lost and won again does not count.
    """
    return msgspec.structs.replace(
        record,
        epoch=record.epoch + 1,
        server=server,
        renewed_at=now,
        ack_subject=ack_subject or record.ack_subject,
        adoptions=record.adoptions + counted,
    )


def renewed(record: JobRecord, now: datetime) -> JobRecord:
    return msgspec.structs.replace(record, renewed_at=now)


def redelivered(record: JobRecord, ack_subject: str) -> JobRecord:
    return msgspec.structs.replace(record, ack_subject=ack_subject)


def started(record: JobRecord, now: datetime) -> JobRecord:
    """A start that is noted late must not take a settled record back."""
    if record.state != State.CLAIMED:
        return record
    return msgspec.structs.replace(record, state=State.RUNNING, renewed_at=now)


def failed_attempt(record: JobRecord, kind: str) -> JobRecord:
    return msgspec.structs.replace(record, failures=(*record.failures, kind))


def next_attempt(record: JobRecord, kind: str, prompt_id: str, now: datetime) -> JobRecord:
    """Tally a failure and name the next prompt before it is posted; twice counts once."""
    if record.prompt_id == prompt_id:
        return record
    again = msgspec.structs.replace(
        record, state=State.CLAIMED, prompt_id=prompt_id, renewed_at=now
    )
    return failed_attempt(again, kind)


def given_back(record: JobRecord, now: datetime, *, kind: str = "", avoid: str = "") -> JobRecord:
    """Free for any server. With a `kind` it was tried here and that attempt counts."""
    free = msgspec.structs.replace(
        record, state=State.FREE, server="", prompt_id="", renewed_at=now, avoid=avoid
    )
    return failed_attempt(free, kind) if kind else free


def settling(record: JobRecord, outcome: Outcome, now: datetime) -> JobRecord:
    return msgspec.structs.replace(record, state=State.SETTLING, outcome=outcome, renewed_at=now)


def finished(record: JobRecord, now: datetime) -> JobRecord:
    """The terminal record: small, because it stays for a day."""
    assert record.outcome is not None
    return JobRecord(
        epoch=record.epoch,
        state=record.outcome.state,
        renewed_at=now,
        server=record.server,
        cancel=record.cancel,
        failures=record.failures,
        outcome=record.outcome,
    )


class CancelAnswer(StrEnum):
    """What to do with a cancel, given the order's record."""

    END_IT = "end_it"
    ASK_OWNER = "ask_owner"
    TELL_AGAIN = "tell_again"
    TOO_LATE = "too_late"


def decide_cancel(record: JobRecord | None) -> CancelAnswer:
    """END_IT: nobody runs it. TELL_AGAIN: it is cancelled, but was that told? TOO_LATE: decided."""
    if record is None or record.state == State.FREE:
        return CancelAnswer.END_IT
    if record.state in LIVE:
        return CancelAnswer.ASK_OWNER
    if record.state == State.CANCELLED:
        return CancelAnswer.TELL_AGAIN
    return CancelAnswer.TOO_LATE


def cancel_asked(record: JobRecord, reason: str) -> JobRecord:
    return msgspec.structs.replace(record, cancel=record.cancel or reason or "cancelled")


def cancelled(record: JobRecord | None, outcome: Outcome, reason: str, now: datetime) -> JobRecord:
    """The record of an order that ends before anybody ran it: a later claimer only acks."""
    return JobRecord(
        epoch=record.epoch if record else 0,
        state=State.CANCELLED,
        renewed_at=now,
        cancel=reason,
        failures=record.failures if record else (),
        outcome=outcome,
    )


def slot_key(server: str) -> str:
    """Where a server notes which orders it holds, so that a restart finds them without a scan."""
    return f"slot.{server}"


def job_key(order_id: OrderId) -> str:
    return str(order_id)
