"""What billing can be told from outside: every limit of the shop."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from billing.domain.invoice_payload import Former, Seal
from billing.domain.terms import ACCESS_HOLD_MIN, Terms
from billing.ports.payments import PaymentTerms
from chassis import secrets
from chassis.callers import PRIVATE, NetworkList
from chassis.clock import Clock
from chassis.settings import DatabaseSettings
from contracts.money import Credits

SCHEMA = "billing"
MIGRATIONS = Path(__file__).parents[2] / "migrations"
Count = Annotated[int, Field(ge=1)]
SECRET_LENGTH_MIN = 16
PATH_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


APP = re.compile(r"([0-9]+):.+")
"""A token of Crypto Pay begins with the number of its app."""


class PaymentSecrets(NamedTuple):
    """What proves us to providers and others to us; None: that one is off."""

    crypto_pay: secrets.Overlap | None
    yookassa: secrets.Secret | None
    path: secrets.Overlap | None
    seal: Seal | None

    async def look(self) -> None:
        """Begin the overlap of what was replaced now, not when somebody comes with it."""
        for each in (self.crypto_pay, self.path):
            if each is not None:
                each.current()


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
    access_hold: Annotated[timedelta, Field(ge=ACCESS_HOLD_MIN, le=timedelta(hours=12))] = (
        timedelta(hours=6)
    )
    """How long an order for access waits for vpn; a renewal's at most a quarter of what is left of
    the period, so that one nobody answers is voided while there is time to ask again."""
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
    seal_every: timedelta = timedelta(seconds=10)
    """How often committed transfers are sealed into the hash chain."""
    rewards_every: timedelta = timedelta(seconds=60)
    """How often unopened gifts, due referral rewards and expiring lots are looked for."""
    sweep_rows_max: Count = 500
    history_page_max: Count = 50
    servers_seen_within: timedelta = timedelta(minutes=10)
    """A generator silent for longer no longer shortens the guessed wait."""

    stars: bool | None = None
    """Telegram Stars can be paid with. Unset: where `payload_secret` is given."""
    payload_secret_file: str = ""
    """A file that holds it, looked at for each use and stronger than the value; so are the others
    that end in `_file`."""
    payload_secret: SecretStr = SecretStr("")
    """Seals what Stars invoices carry; needed with `stars`."""
    payload_secrets_previous_file: str = ""
    payload_secrets_previous: SecretStr = SecretStr("")
    """Former ones, comma-separated: subscriptions renew with the payload they began with."""
    crypto_pay_token_file: str = ""
    crypto_pay_token: SecretStr = SecretStr("")
    """Empty: Crypto Pay is off."""
    crypto_pay_test_net: bool = False
    crypto_pay_api_url: str = ""
    """Instead of the main or test net's own address."""
    yookassa_shop_id: str = ""
    """Empty: YooKassa is off."""
    yookassa_secret_file: str = ""
    yookassa_secret: SecretStr = SecretStr("")
    yookassa_api_url: str = ""
    """Instead of YooKassa's own address; ends in /v3."""
    yookassa_return_url: str = ""
    """Where a payer's browser goes afterwards, the bot's link for one; needed with YooKassa."""
    yookassa_receipts: bool = False
    """Receipts by 54-FZ are sent through YooKassa."""
    yookassa_receipt_email: str = ""
    """Where they go, for people here have no address; needed with `yookassa_receipts`."""
    yookassa_vat_code: Annotated[int, Field(ge=1, le=12)] = 1
    yookassa_item: Annotated[str, Field(min_length=1, max_length=80)] = "Credits"
    """What receipts and the pay page call the product."""
    yookassa_check_ip: bool = False
    """Take webhooks from YooKassa's networks alone. Behind a proxy `webhook_trusted_header` must
    say where it writes its client's address, or every caller is the proxy."""
    webhook_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where providers call; empty: they are only asked. 0: any free port."""
    webhook_host: str = "127.0.0.1"
    webhook_secret_file: str = ""
    webhook_secret: SecretStr = SecretStr("")
    """The part of the webhooks' path nobody can guess; needed with `webhook_port`."""
    secret_overlap: timedelta = timedelta(minutes=10)
    """So long after a change the path before, and what Crypto Pay signed with the token before, are
    taken too: somebody tells the providers of a path by hand."""
    webhook_trusted_header: str = ""
    """Where the proxy before us writes a client's address; empty: there is none."""
    webhook_trusted_proxies: NetworkList = PRIVATE
    """Networks from which that header is believed."""
    webhook_requests_per_second: Annotated[float, Field(gt=0)] = 100
    """From one address; ten times as many at once: a provider tells again all that we missed."""
    payment_valid: timedelta = timedelta(hours=1)
    """How long an invoice can be paid."""
    adjust_alone_max: Annotated[int, Field(ge=0)] = 1_000
    """What is given by hand and worth more credits (adjustments, grants, tiers at their plan's
    price, promo codes over all uses) needs a second person."""
    adjust_alone_day_max: Annotated[int, Field(ge=0)] = 5_000
    """So does what one person gives alone in one shop day, all together."""
    polled_in_a_row_max: Count = 5
    """So many payments found by asking, with no webhook between: operators are alarmed."""
    reconcile_every: timedelta = timedelta(days=1)
    """How often a provider's whole statement is compared."""

    @model_validator(mode="after")
    def _secrets_are_there(self) -> Self:
        seal = self.payload_secret.get_secret_value()
        sealed = self.payload_secret_file
        if not sealed and (self.stars or seal) and len(seal) < SECRET_LENGTH_MIN:
            raise ValueError(f"payload_secret: {SECRET_LENGTH_MIN} characters or more with stars")
        if self.yookassa_shop_id:
            if not (self.yookassa_secret.get_secret_value() or self.yookassa_secret_file):
                raise ValueError("yookassa_secret: needed with yookassa_shop_id")
            if not self.yookassa_return_url.startswith(("https://", "http://")):
                raise ValueError("yookassa_return_url: an address, with yookassa_shop_id")
            if self.yookassa_receipts and "@" not in self.yookassa_receipt_email:
                raise ValueError("yookassa_receipt_email: an address, with yookassa_receipts")
        path = self.webhook_secret.get_secret_value()
        given = bool(self.webhook_secret_file) or PATH_SECRET.fullmatch(path)
        if self.webhook_port is not None and not given:
            raise ValueError("webhook_secret: 16 or more letters, digits, _ or - with webhook_port")
        return self

    @field_validator("shop_time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name} is no time zone") from error
        return name

    def payment_secrets(self, clock: Clock) -> PaymentSecrets:
        """Each as it is whenever it is used. Raises ConfigurationError."""
        token = self._secret("crypto_pay_token", _same_app)
        return PaymentSecrets(
            self._overlap(token, clock) if token() else None,
            self._secret("yookassa_secret") if self.yookassa_shop_id else None,
            self._path(clock) if self.webhook_port is not None else None,
            self._seal(),
        )

    def _secret(
        self, field: str, check: secrets.Check = secrets.one_word, *, empty: bool = False
    ) -> secrets.Secret:
        value, file = getattr(self, field), getattr(self, f"{field}_file")
        name = f"BILLING_{field}".upper()
        return secrets.of(value, file, name=name, check=check, empty=empty)

    def _path(self, clock: Clock) -> secrets.Overlap:
        return self._overlap(self._secret("webhook_secret", _path_part), clock)

    def _overlap(self, secret: secrets.Secret, clock: Clock) -> secrets.Overlap:
        return secrets.Overlap(secret, overlap=self.secret_overlap, clock=clock)

    def _seal(self) -> Seal | None:
        """Where Stars are switched off again, what was sold before has to be understood."""
        if not self.payload_secret.get_secret_value() and not self.payload_secret_file:
            return None
        # Empty when the last one is taken off the list, one that leaked for instance.
        listed = self._secret("payload_secrets_previous", lambda *_: "", empty=True)

        def former() -> tuple[str, ...]:
            return tuple(each for each in listed().split(",") if each.strip())

        def follows(text: str, before: str) -> str:
            return _seals_after(text, before, former)

        return Seal(self._secret("payload_secret", follows), former)

    @property
    def terms(self) -> Terms:
        return Terms(
            zone=ZoneInfo(self.shop_time_zone),
            price_valid=self.price_valid,
            in_flight_max=self.in_flight_max,
            start_within=self.start_within,
            attempts_max=self.attempts_max,
            hold_margin=self.hold_margin,
            access_hold=self.access_hold,
            trial_credits=Credits(self.trial_credits),
            trial_period=self.trial_period,
            expired_lots_kept=self.expired_lots_kept,
            delivery_within=self.delivery_within,
            delivery_spacing_max=self.delivery_spacing_max,
            rows_max=self.sweep_rows_max,
        )

    @property
    def payment_terms(self) -> PaymentTerms:
        return PaymentTerms(
            valid=self.payment_valid,
            adjust_alone_max=self.adjust_alone_max,
            adjust_alone_day_max=self.adjust_alone_day_max,
            zone=ZoneInfo(self.shop_time_zone),
            price_valid=self.price_valid,
            polled_in_a_row_max=self.polled_in_a_row_max,
            rows_max=self.sweep_rows_max,
            reconcile_every=self.reconcile_every,
        )

    @property
    def sells_for_stars(self) -> bool:
        if self.stars is not None:
            return self.stars
        return bool(self.payload_secret.get_secret_value() or self.payload_secret_file)


def _same_app(text: str, before: str) -> str:
    """Invoices and balances are one app's: another's token knows none of ours."""
    if wrong := secrets.one_word(text, before):
        return wrong
    now, then = APP.fullmatch(text), APP.fullmatch(before)
    if now and then and now[1] != then[1]:
        return "is another app's: what was sold by this one would be lost"
    return ""


def _path_part(text: str, before: str) -> str:
    del before
    return "" if PATH_SECRET.fullmatch(text) else "is not 16 or more letters, digits, _ or -"


def _seals_after(text: str, before: str, former: Former) -> str:
    """A subscription to Stars renews for months with what its first secret sealed."""
    if len(text) < SECRET_LENGTH_MIN:
        return f"has fewer than {SECRET_LENGTH_MIN} characters"
    if before not in ("", text) and before not in {each.strip() for each in former()}:
        return "is new, and the one before is not among BILLING_PAYLOAD_SECRETS_PREVIOUS"
    return ""
