"""What the vpn service can be told from outside."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from chassis.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Environment variables with the prefix VPN_."""

    model_config = SettingsConfigDict(env_prefix="VPN_", extra="ignore")
