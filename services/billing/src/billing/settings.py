"""What billing can be told from outside: every limit of the shop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import SettingsConfigDict

from billing.domain.terms import Terms
from chassis.settings import DatabaseSettings

Count = Annotated[int, Field(ge=1)]


class Settings(DatabaseSettings):
    """Environment variables with the prefix BILLING_; the time zone is the whole shop's."""

    model_config = SettingsConfigDict(env_prefix="BILLING_", extra="ignore", populate_by_name=True)

    catalogue_dir: Path = Path("catalogue")
    shop_time_zone: str = Field(
        default="UTC", validation_alias=AliasChoices("SHOP_TIME_ZONE", "BILLING_SHOP_TIME_ZONE")
    )
    """Where "today" begins wherever money is concerned."""
    price_valid: timedelta = timedelta(minutes=15)
    in_flight_max: Count = 10
    start_within: timedelta = timedelta(minutes=30)
    """A job not started after this is cancelled (`start_before`)."""
    attempts_max: Count = 3
    """How often the generators try a job: the hold outlives all of it."""
    hold_margin: timedelta = timedelta(minutes=10)
    trial_credits: Annotated[int, Field(ge=0)] = 20
    trial_period: timedelta = timedelta(days=2)
    expired_lots_kept: timedelta = timedelta(hours=1)
    """So long an expired lot waits to be written off: a trial is renewed in place meanwhile."""
    delivery_within: timedelta = timedelta(minutes=10)
    """A delivery not confirmed after this is asked for again, then ever more seldom."""
    delivery_spacing_max: timedelta = timedelta(hours=6)
    queue_max: Count = 1_000
    """A pool with so many jobs waiting takes no more orders."""
    outbox_age_max: timedelta = timedelta(seconds=60)
    """No orders are taken while a job older than this has not left the outbox."""
    queue_sample_every: timedelta = timedelta(seconds=1)
    expire_holds_every: timedelta = timedelta(seconds=15)
    expire_lots_every: timedelta = timedelta(seconds=60)
    ask_deliveries_every: timedelta = timedelta(seconds=30)
    sweep_rows_max: Count = 500
    history_page_max: Count = 50
    servers_seen_within: timedelta = timedelta(minutes=10)
    """A generator silent for longer no longer shortens the guessed wait."""

    @field_validator("shop_time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name} is no time zone") from error
        return name

    @property
    def terms(self) -> Terms:
        return Terms(
            zone=ZoneInfo(self.shop_time_zone),
            price_valid=self.price_valid,
            in_flight_max=self.in_flight_max,
            start_within=self.start_within,
            attempts_max=self.attempts_max,
            hold_margin=self.hold_margin,
            trial_credits=self.trial_credits,
            trial_period=self.trial_period,
            expired_lots_kept=self.expired_lots_kept,
            delivery_within=self.delivery_within,
            delivery_spacing_max=self.delivery_spacing_max,
            rows_max=self.sweep_rows_max,
        )
