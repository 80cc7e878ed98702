"""What every service can be told from outside; durations are timedelta, secrets have no default."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_NUMBER = re.compile(r"\d+(\.\d+)?")


class ServiceSettings(BaseSettings):
    """Settings of a process. A service subclasses it with its own `env_prefix`."""

    model_config = SettingsConfigDict(extra="ignore")

    nats_url: str = "nats://127.0.0.1:4222"
    """One URL or several, comma-separated."""
    nats_tls_dir: str = ""
    """Folder with `ca.crt`, `tls.crt` and `tls.key`; empty: a nats-server without TLS."""
    nats_seed_file: str = ""
    """The seed of this service's NATS user; empty: a nats-server that asks nobody who he is."""
    signing_key_file: str = ""
    """This service's private Ed25519 key (PEM): what it publishes is signed with it."""
    verify_keys_dir: str = ""
    """Folder of everybody's public keys, `<service>.<key id>.pub` (PEM)."""
    signatures: str = ""
    """require, observe or off; empty: require, for which both keys are needed."""
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0: any free port (it is logged)."""
    otlp_endpoint: str = ""
    """Base URL of an OTLP/HTTP collector; empty: no telemetry leaves the process."""
    log_format: str = "console"
    log_level: str = "info"
    shutdown_grace: timedelta = timedelta(seconds=20)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_number_is_seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """Let a duration be written as a number of seconds, besides ISO 8601 (`PT30S`)."""
        field = cls.model_fields.get(info.field_name or "")
        if field is not None and field.annotation is timedelta and isinstance(value, str):
            return float(value) if _NUMBER.fullmatch(value.strip()) else value
        return value


class DatabaseSettings(ServiceSettings):
    """Settings of a process with its own Postgres schema and role."""

    database_url_file: str = ""
    """A file that holds the URL, read for each new connection; wins over `database_url`."""
    database_url: Annotated[str, Field(validate_default=True)] = ""
    migration_database_url: str = ""
    """A role that may create schema and role; only `migrate` uses it. Empty: the service's own."""
    migration_phase: Literal["pre", "all"] = "pre"
    """What `migrate` does: chassis.migrations.PRE, or ALL once no other release is at work."""
    database_pool_max: Annotated[int, Field(ge=2, le=64)] = 8

    @field_validator("database_url")
    @classmethod
    def _one_of_both(cls, value: str, info: ValidationInfo) -> str:
        if not value and not info.data.get("database_url_file"):
            raise ValueError("missing, and so is database_url_file")
        return value

    def login(self) -> str:
        """The URL as it is now; raise OSError when its file is not there."""
        if self.database_url_file:
            return Path(self.database_url_file).read_text().strip()
        return self.database_url
