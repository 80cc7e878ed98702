"""Messages owned by generator: jobs, their ends, and progress."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.envelope import Command, Event, Message
from contracts.ids import NOBODY, OrderId, UserId
from contracts.media import MediaRef


class RunJob(Command, frozen=True, kw_only=True, omit_defaults=True):
    """One order's work. Not run after `start_before`: answered as cancelled instead."""

    subject: ClassVar[str] = "jobs.{pool}.{lane}"

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    catalogue_version: int
    start_before: datetime
    deadline_seconds: float
    """Counted from ComfyUI's execution_start, per attempt."""
    inputs: tuple[MediaRef, ...] = ()
    params: dict[str, str] = msgspec.field(default_factory=dict)


class CancelJob(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Any pod takes it and compare-and-sets `jobs/<order_id>`; the owner answers."""

    subject: ClassVar[str] = "generator.cmd.cancel_job.v1"

    order_id: OrderId
    user_id: UserId
    reason: str


class JobStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "generator.evt.job_started.v1"

    order_id: OrderId
    user_id: UserId
    epoch: int
    server: str
    started_at: datetime

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)

    def order_keys(self) -> tuple[OrderId, ...]:
        return (self.order_id,)


class JobSucceeded(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "generator.evt.job_succeeded.v1"

    order_id: OrderId
    user_id: UserId
    epoch: int
    outputs: tuple[MediaRef, ...]
    run_seconds: float = 0.0

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)

    def order_keys(self) -> tuple[OrderId, ...]:
        return (self.order_id,)


class JobFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Always terminal. `user_id` is 0 when the job could not even be decoded."""

    subject: ClassVar[str] = "generator.evt.job_failed.v1"

    order_id: OrderId
    failure_class: str
    user_id: UserId = NOBODY
    epoch: int = 0
    detail: str = ""
    """Class and short message only: never user text, paths or tracebacks."""

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,) if self.user_id else ()

    def order_keys(self) -> tuple[OrderId, ...]:
        return (self.order_id,)


class JobCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "generator.evt.job_cancelled.v1"

    order_id: OrderId
    user_id: UserId
    reason: str
    epoch: int = 0

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,) if self.user_id else ()

    def order_keys(self) -> tuple[OrderId, ...]:
        return (self.order_id,)


PROGRESS_SUBJECT = "progress.{shard}.{order_id}"
SHARDS = 32
"""Telegram users are spread over this many shards: shard = user_id % SHARDS."""


class JobProgress(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Ephemeral, at most one a second, may be lost. `preview` is a small JPEG."""

    subject: ClassVar[str] = PROGRESS_SUBJECT

    order_id: OrderId
    user_id: UserId
    fraction: float
    state: str = "running"
    eta_seconds: float = 0.0
    preview: bytes = b""


def shard_of(user_id: UserId) -> int:
    return user_id % SHARDS


def progress_subject(user_id: UserId, order_id: OrderId) -> str:
    return PROGRESS_SUBJECT.format(shard=shard_of(user_id), order_id=order_id)


def job_subject(pool: str, lane: str) -> str:
    return RunJob.subject.format(pool=pool, lane=lane)
