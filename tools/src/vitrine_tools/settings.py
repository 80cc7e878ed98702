"""Where the operator's command line finds the platform."""

from __future__ import annotations

import getpass
from pathlib import Path

import msgspec
from pydantic_settings import BaseSettings, SettingsConfigDict

URLS_FILE = Path(".vitrine/urls.json")


class Settings(BaseSettings):
    """Environment variables with the prefix VITRINE_; else what `make up` wrote."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", extra="ignore")

    nats_url: str = ""
    actor: str = ""

    def broker_url(self) -> str:
        """Return the given URL, else that of a platform started here; raise SystemExit."""
        if self.nats_url:
            return self.nats_url
        try:
            urls = msgspec.json.decode(URLS_FILE.read_bytes(), type=dict[str, object])
            return str(urls["nats"])
        except (OSError, KeyError, msgspec.DecodeError) as error:
            raise SystemExit(
                "no platform found: set VITRINE_NATS_URL, or run `make up` here"
            ) from error

    def who(self) -> str:
        """Return who acts, for the audit trail."""
        return self.actor or getpass.getuser()
