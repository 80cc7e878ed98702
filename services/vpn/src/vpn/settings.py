"""What the vpn service can be told from outside: every limit of access and of nodes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.callers import PRIVATE, NetworkList
from chassis.settings import DatabaseSettings
from vpn.domain.reconcile import Caps
from vpn.domain.terms import QuietHours, Terms

Hour = Annotated[int, Field(ge=0, le=23)]
Count = Annotated[int, Field(ge=1)]
Span = Annotated[timedelta, Field(gt=timedelta(0))]
NotNegative = Annotated[timedelta, Field(ge=timedelta(0))]
WHOLE_DAY = timedelta(days=1)
RENEW_BEFORE_MIN = timedelta(hours=1)
"""billing holds a renewal's price for a quarter of the rest of the period, but for ten minutes."""


class Settings(DatabaseSettings):
    """Environment variables with the prefix VPN_."""

    model_config = SettingsConfigDict(env_prefix="VPN_", extra="ignore")

    catalogue_dir: Path = Path("catalogue")
    nodes_file: Path | None = None
    """TOML with [[nodes]]; none: nothing can be sold."""
    nodes_certificate: Path | None = None
    """What this service shows to agents; it carries `control.vpn.vitrine.internal`."""
    nodes_key: Path | None = None
    nodes_ca: Path | None = None
    """Whose certificates of agents are believed; a bundle during a rotation."""

    day: Span = timedelta(days=1)
    """How long a day of a plan lasts; shorter only where somebody wants to see plans end."""
    grace_policy: Literal["off", "observe", "on"] = "off"
    grace: NotNegative = timedelta(days=3)
    retention: NotNegative = timedelta(days=30)
    """After the end, key and link are kept so long for whoever pays late."""
    renew_before: Span = timedelta(hours=24)
    renew_attempts_max: Count = 3
    renew_spacing: NotNegative = timedelta(hours=6)
    auto_renew_at_first: bool = False
    """Whether a first purchase switches renewal on; the person can always say otherwise."""
    quiet_begin: Hour = 22
    """From this hour to `quiet_end`, in the person's zone, nobody is reminded; equal: never."""
    quiet_end: Hour = 9
    reminder_spread: NotNegative = timedelta(hours=2)
    time_zone: str = "UTC"
    """Where a person is who never said."""
    traffic_notice_percent: Annotated[int, Field(ge=1, le=99)] = 80
    devices_grace: NotNegative = timedelta(minutes=15)
    flow: Literal["", "xtls-rprx-vision"] = ""
    """What every entry on nodes carries; the nodes' links say the same."""
    sweep_rows_max: Annotated[int, Field(ge=1, le=5000)] = 500
    sweep_every: Span = timedelta(seconds=60)

    look_every: Span = timedelta(seconds=1)
    """How often a node is asked how it is; its hash is compared each time."""
    drift_window: NotNegative = timedelta(seconds=3)
    node_down_after: Span = timedelta(seconds=10)
    """A node silent for so long is alarmed about."""
    reconcile_every: Span = timedelta(minutes=10)
    list_every: Span = timedelta(hours=6)
    """How often a node's list is held against its hash, beside every start of it."""
    removals_max: Annotated[int, Field(ge=0)] = 10
    """So many removals without a record of why are made at once, or `removals_share` of a node's
    people if that is more; beyond it nothing is removed and operators are alarmed."""
    removals_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    traffic_every: Span = timedelta(seconds=60)

    links_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where apps fetch subscriptions; empty: nowhere. 0: any free port."""
    links_host: str = "127.0.0.1"
    links_url: str = ""
    """Where people reach it from outside, without a slash at the end."""
    links_trusted_header: str = ""
    """Where the proxy before us writes a client's address; empty: there is none."""
    links_trusted_proxies: NetworkList = PRIVATE
    """Networks from which that header is believed."""
    links_title: str = "Vitrine"
    links_support_url: str = ""
    links_announce: str = ""
    links_update_hours: Annotated[int, Field(ge=1, le=168)] = 12
    links_xray_json: bool = False

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name} is no time zone")
        return name

    @field_validator("links_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("an address: https://...")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _links_have_an_address(self) -> Self:
        if self.links_port and not self.links_url:
            raise ValueError("links_url: needed with links_port")
        files = (self.nodes_certificate, self.nodes_key, self.nodes_ca)
        if any(files) and not all(files):
            raise ValueError("nodes_certificate, nodes_key and nodes_ca go together")
        return self

    @model_validator(mode="after")
    def _renewals_have_time(self) -> Self:
        if (self.renew_attempts_max - 1) * self.renew_spacing > self.renew_before:
            raise ValueError("renew_before: the attempts, with their spacing, do not fit into it")
        if self.day >= WHOLE_DAY and self.renew_before < RENEW_BEFORE_MIN:
            raise ValueError("renew_before: at least an hour, or a hold nobody answers outlasts it")
        return self

    @property
    def terms(self) -> Terms:
        return Terms(
            day=self.day,
            grace_policy=self.grace_policy,
            grace=self.grace,
            retention=self.retention,
            renew_before=self.renew_before,
            renew_attempts_max=self.renew_attempts_max,
            renew_spacing=self.renew_spacing,
            auto_renew_at_first=self.auto_renew_at_first,
            quiet=QuietHours(self.quiet_begin, self.quiet_end, self.reminder_spread),
            zone=self.time_zone,
            traffic_notice_percent=self.traffic_notice_percent,
            devices_grace=self.devices_grace,
            flow=self.flow,
            rows_max=self.sweep_rows_max,
        )

    @property
    def caps(self) -> Caps:
        return Caps(self.removals_max, self.removals_share)
