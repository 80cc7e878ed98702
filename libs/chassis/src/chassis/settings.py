"""What every service can be told from outside; durations are timedelta, secrets have no default."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

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

    database_url: str
    migration_database_url: str = ""
    """A role that may create schema and role; only `migrate` uses it. Empty: database_url."""
    database_pool_max: Annotated[int, Field(ge=2, le=64)] = 8
