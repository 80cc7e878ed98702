"""What the gateway can be told from outside."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from chassis import secrets
from chassis.callers import PRIVATE, NetworkList
from chassis.clock import Clock
from chassis.http_edge import REQUESTS_MAX, EdgeLimits
from chassis.rates import per_address
from chassis.settings import DatabaseSettings

SCHEMA = "gateway"
MIGRATIONS = Path(__file__).parents[2] / "migrations"
MIB = 1 << 20
CLOUD_DOWNLOAD_MAX = 20 * MIB
LOCAL_DOWNLOAD_MAX = 50 * MIB
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]


TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class MigrationSettings(DatabaseSettings):
    """What `migrate` needs of them: the database, and no secret of the bot."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore")


class Settings(MigrationSettings):
    """`GATEWAY_…` variables. Only the bot's token and the database have no default."""

    bot_token_file: str = ""
    """A file that holds the token, looked at for each call; wins over `bot_token`."""
    bot_token: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")
    telegram_api_url: str = "https://api.telegram.org"
    """The cloud, a local Bot API server, or a stand-in."""
    telegram_local_mode: bool = False
    """The server runs with --local: no 20 MB limit, and getFile may name a file on this disk."""
    telegram_timeout: timedelta = timedelta(seconds=10)
    upload_timeout: timedelta = timedelta(seconds=60)

    mode: Literal["polling", "webhook"] = "polling"
    polling_timeout: timedelta = timedelta(seconds=25)
    webhook_url: str = ""
    """The public https address Telegram is to call, path included; empty: set by somebody else."""
    webhook_secret_file: str = ""
    """A file that holds the secret, looked at for each update; wins over `webhook_secret`."""
    webhook_secret: SecretStr = SecretStr("")
    webhook_secret_overlap: timedelta = timedelta(minutes=10)
    """So long after a change Telegram may still show the secret before."""
    webhook_secret_wait: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(seconds=150)
    """Before Telegram is told of a new one: the kubelet gives each replica its file in its own
    time, within two minutes, and one that has not seen it would turn Telegram away."""
    webhook_host: str = "127.0.0.1"
    webhook_port: Port = 8080
    webhook_path: str = "/telegram"
    webhook_connections_max: Annotated[int, Field(ge=1, le=100_000)] = 40
    webhook_trusted_header: str = ""
    """Where the proxy before us writes a client's address; empty: there is none."""
    webhook_trusted_proxies: NetworkList = PRIVATE
    """Networks from which that header is believed."""
    webhook_requests_per_second: Rate = 200
    """From one address; ten times as many at once."""
    update_bytes_max: Count = MIB // 2

    sends_per_second: Rate = 30
    """For the whole bot, over all replicas (Telegram's own limit is about 30)."""
    chat_sends_per_second: Rate = 1
    chat_sends_burst: Count = 4
    """A short burst to one person passes with Telegram; a lasting rate above 1/s does not."""
    group_sends_per_minute: Rate = 20
    send_wait_max: timedelta = timedelta(seconds=2)
    """An answer that would wait longer becomes a delivery row, and the update is done."""
    edit_interval: timedelta = timedelta(seconds=3)
    result_patience: timedelta = timedelta(hours=24)
    """How long a result is tried again while Telegram is away."""
    notice_patience: timedelta = timedelta(hours=1)

    updates_concurrent_max: Count = 16
    """Transactions at once; sending their answers is not counted."""
    update_starts_max: Count = 3
    """So many failed tries park an update."""
    conversation_ttl: timedelta = timedelta(hours=1)
    read_timeout: timedelta = timedelta(seconds=2)

    max_concurrent_downloads: Count = 5
    download_timeout: timedelta = timedelta(seconds=60)
    retry_attempts: Count = 4
    download_bytes_max: int = 0
    """0: 20 MiB from the cloud, 50 MiB in local mode."""
    image_pixels_max: Count = 40_000_000
    image_side_max: Count = 12_000
    image_timeout: timedelta = timedelta(seconds=20)
    image_worker_idle: timedelta = timedelta(seconds=60)
    image_worker_memory_mib: Count = 1_024

    catalogue_dir: Path = Path("catalogue")
    admin_chat_id: int = 0
    """Where operators are told what needs a person: money held, a file lost; 0: only in the log."""
    support_contact: str = ""
    """Named in /paysupport (`@someone`, an address); empty: people are asked to write here."""
    shop_time_zone: str = Field(
        "UTC", validation_alias=AliasChoices("GATEWAY_SHOP_TIME_ZONE", "SHOP_TIME_ZONE")
    )

    @field_validator("bot_token")
    @classmethod
    def _a_token_is_given(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not value.get_secret_value() and not info.data.get("bot_token_file"):
            raise ValueError("missing, and so is bot_token_file")
        return value

    @model_validator(mode="after")
    def _webhook_is_guarded(self) -> Settings:
        if self.mode != "webhook":
            return self
        if not self.webhook_secret.get_secret_value() and not self.webhook_secret_file:
            raise ValueError("GATEWAY_WEBHOOK_SECRET or …_FILE is required in webhook mode")
        if self.webhook_secret_overlap <= self.webhook_secret_wait:
            raise ValueError("webhook_secret_overlap must be longer than webhook_secret_wait")
        return self

    def token(self) -> secrets.Secret:
        """The bot's token, whenever it is used; another bot's is refused. ConfigurationError."""
        return secrets.of(
            self.bot_token, self.bot_token_file, name="GATEWAY_BOT_TOKEN", check=_same_bot
        )

    def webhook_guard(self, clock: Clock) -> secrets.Overlap:
        """What Telegram shows us with each update. Raises ConfigurationError."""
        secret = secrets.of(
            self.webhook_secret,
            self.webhook_secret_file,
            name="GATEWAY_WEBHOOK_SECRET",
            check=_telegram_takes_it,
        )
        return secrets.Overlap(secret, overlap=self.webhook_secret_overlap, clock=clock)

    @property
    def webhook_limits(self) -> EdgeLimits:
        return EdgeLimits(
            body_bytes_max=self.update_bytes_max,
            requests_max=max(REQUESTS_MAX, 2 * self.webhook_connections_max),
            address=per_address(self.webhook_requests_per_second),
        )

    @property
    def file_bytes_max(self) -> int:
        if self.download_bytes_max:
            return self.download_bytes_max
        return LOCAL_DOWNLOAD_MAX if self.telegram_local_mode else CLOUD_DOWNLOAD_MAX


def _same_bot(text: str, before: str) -> str:
    """Everything stored is one bot's: under another's token its chats and files mean nothing."""
    if TOKEN.fullmatch(text) is None:
        return "is no bot token: <number>:<letters>"
    if before and text.partition(":")[0] != before.partition(":")[0]:
        return "is another bot's: that one needs a shop of its own"
    return ""


def _telegram_takes_it(text: str, before: str) -> str:
    del before
    fine = WEBHOOK_SECRET.fullmatch(text)
    return "" if fine else "is not what Telegram takes: 1 to 256 letters, digits, _ or -"
