"""What the scheduler can be told from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Environment variables with the prefix SCHEDULER_."""

    model_config = SettingsConfigDict(env_prefix="SCHEDULER_", extra="ignore")

    fire_batch_max: Annotated[int, Field(ge=1, le=5000)] = 500
    idle_wait: timedelta = timedelta(seconds=1)
    """How long to sleep when nothing is due sooner: the most a timer set meanwhile can be late."""
    keep_ended: timedelta = timedelta(days=30)
    """How long fired timers and tombstones are kept."""
    renew_trials_every: timedelta = timedelta(seconds=300)
    run_audit_every: timedelta = timedelta(hours=1)
    sweep_media_every: timedelta = timedelta(days=1)
    watch_payments_every: timedelta = timedelta(seconds=30)
    read_stars_statement_every: timedelta = timedelta(minutes=10)
