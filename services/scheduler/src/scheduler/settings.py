"""What the scheduler can be told from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import DatabaseSettings

CatchUp = Literal["fire", "skip", "coalesce"]
Every = Annotated[timedelta, Field(ge=timedelta(0))]
"""How often; 0: never."""


class KindSettings(BaseModel, extra="forbid"):
    """What holds for the timers of a kind. `per_second` 0: no limit; it is one for all replicas."""

    per_second: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    catch_up: Literal["fire", "skip"] = "fire"
    """Of timers that do not say themselves."""
    late_max_seconds: Annotated[int, Field(ge=0)] = 0


class Settings(DatabaseSettings):
    """Environment variables with the prefix SCHEDULER_."""

    model_config = SettingsConfigDict(env_prefix="SCHEDULER_", extra="ignore")

    fire_batch_max: Annotated[int, Field(ge=1, le=5000)] = 500
    """Fired in one transaction, all kinds together; each kind that is due gets an equal share."""
    gather: timedelta = timedelta(milliseconds=40)
    """What is due within so long is fired in one transaction: the most a timer waits for others."""
    idle_wait: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(seconds=2))] = timedelta(
        seconds=1
    )
    """How long to sleep when nothing is due sooner. A timer set meanwhile wakes the replica that
    set it; this is how late it can be when that replica dies."""
    keep_ended: Annotated[timedelta, Field(ge=timedelta(days=33))] = timedelta(days=33)
    """How long fired timers and tombstones are kept: longer than a late command can still be
    handled (chassis.retention.KEEP), or it would bring back what was cancelled."""
    kinds: dict[str, KindSettings] = Field(default_factory=dict)
    """By kind (a timer that names none has its subject's), as JSON."""
    tick_catch_up: dict[str, CatchUp] = {  # noqa: RUF012 - pydantic copies it
        "converge_nodes": "coalesce",
        "reconcile_nodes": "coalesce",
    }
    """What happens to a tick that is late, by name, as JSON: `fire` once (for those not named),
    `skip` once it is later than half its period, `coalesce` with others of its group."""
    renew_trials_every: Every = timedelta(seconds=300)
    run_audit_every: Every = timedelta(hours=1)
    sweep_media_every: Every = timedelta(days=1)
    watch_payments_every: Every = timedelta(seconds=30)
    read_stars_statement_every: Every = timedelta(minutes=10)
    sweep_subscriptions_every: Every = timedelta(seconds=60)
    renew_subscriptions_every: Every = timedelta(seconds=600)
    send_reminders_every: Every = timedelta(minutes=45)
    converge_nodes_every: Every = timedelta(seconds=300)
    reconcile_nodes_every: Every = timedelta(seconds=600)
    check_nodes_every: Every = timedelta(seconds=600)
