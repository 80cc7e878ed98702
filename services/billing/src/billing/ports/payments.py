"""What handlers of outside money need: its books, and the providers it comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from billing.domain import tiers
from billing.domain.accounts import Account
from billing.domain.charges import CHARGE_ID_MAX, Charge
from billing.domain.errors import InvalidError
from billing.domain.invoice_payload import Seal
from billing.domain.offers import Offers
from billing.domain.payments import CANCELLED, Payment
from billing.ports import Books
from billing.ports.records import Records
from chassis.database import Connection
from chassis.outbox import UnitOfWork
from contracts.billing import TIER_NONE
from contracts.ids import NOBODY, PaymentId, UserId

EVENT_PAID = "paid"
EVENT_EXPIRED = "expired"
EVENT_CANCELLED = "cancelled"
EVENT_REFUNDED = "refunded"
EVENT_CHARGED_BACK = "charged_back"
EVENT_PARTLY_REFUNDED = "partly_refunded"
"""A part went back, by us or by hand there; the event's amount is all that is gone by now."""
EVENT_HINT = "hint"
"""An unproven word that something became of an invoice: nothing is done about it but asking."""
EVENT_KEY_MAX = 300
SINCE, UNTIL = datetime(2015, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""No money came before or comes after: near the calendar's ends a moment fits into no column."""
WAY_WEBHOOK = "webhook"
WAY_POLL = "poll"
WAY_CHAT = "chat"
WAY_STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One fact from a provider. `event_key` names the fact: told twice, it is the same fact."""

    event_key: str
    kind: str
    provider_ref: str
    payment_id: PaymentId | None
    charge_id: str
    amount_minor: int
    currency: str
    at: datetime
    raw: bytes
    user_id: UserId = NOBODY

    def __post_init__(self) -> None:
        """Raises InvalidError for what no provider means and no table keeps."""
        ids = (self.event_key, self.provider_ref, self.charge_id)
        if not all(each.isascii() and each.isprintable() for each in ids):
            raise InvalidError("an id has printable characters")
        if not 1 <= len(self.charge_id) <= CHARGE_ID_MAX or len(self.event_key) > EVENT_KEY_MAX:
            raise InvalidError("an id is of some length")
        if self.at.tzinfo is None or not SINCE.year <= self.at.year < UNTIL.year:
            raise InvalidError("a moment of these years, with its zone")
        if self.amount_minor < (self.kind == EVENT_PAID):
            raise InvalidError("money is more than nothing")


Handled = Iterable[tuple[ProviderEvent, str]]
"""Facts, and what was made of each."""


def hint(provider_ref: str, at: datetime, raw: bytes) -> ProviderEvent:
    return ProviderEvent(
        f"{EVENT_HINT}:{provider_ref}", EVENT_HINT, provider_ref, None, provider_ref, 0, "", at, raw
    )


@dataclass(frozen=True, slots=True)
class Created:
    """The provider's invoice."""

    provider_ref: str
    pay_url: str
    expires_at: datetime | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money is on its way back, or was before."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not do it; `code` is its reason in our words."""

    code: str


class WebhookRejectedError(Exception):
    """A webhook that is not the provider's, or makes no sense; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class TokenRefusedError(Exception):
    """The provider does not accept our credentials: nothing works until an operator acts."""


class ProviderRefusedError(Exception):
    """The provider understood the request and will never carry it out."""


class ProviderUnclearError(Exception):
    """No answer, or none that says whether it happened: look it up before repeating it."""


class ProviderAwayError(ProviderUnclearError):
    """No connection could be made, so nothing happened."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """How a provider works. `in_chat`: Telegram tells us, and nothing is called from here."""

    in_chat: bool = False
    webhooks: bool = False
    polling: bool = False
    refunds: bool = True
    webhook_reply: str = ""
    charge_backs: bool = True
    """A payer can have the money called back, and its statement or a webhook shows that."""
    states_refunds: bool = True
    """Its statement shows money that went back."""
    partial_refunds: bool = False
    """A part of a charge can be given back, several times."""
    creates_once: bool = False
    """It has a key against making an invoice twice: repeating the call is safe."""
    webhook_hints: bool = False
    """Webhooks prove nothing: what they name is fetched, and only that is believed."""


class PaymentProvider(Protocol):
    """A payment provider that is called over the network.

    Every call raises TokenRefusedError when our credentials are refused, ProviderRefusedError
    when the answer is a definite no, and ProviderUnclearError when it may have happened or not.
    """

    name: str
    capabilities: Capabilities

    async def check(self) -> None:
        """Ask whether our credentials are accepted; nothing is changed."""
        ...

    async def create(self, payment: Payment) -> Created: ...

    async def find(self, payment_id: PaymentId) -> Created | None:
        """The invoice a call that seemed to fail made all the same."""
        ...

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], remote_ip: str
    ) -> tuple[ProviderEvent, ...]:
        """Raises WebhookRejectedError."""
        ...

    async def fetch(self, refs: Sequence[str]) -> list[ProviderEvent]:
        """What became of these invoices; nothing about those that are still open."""
        ...

    async def list_since(self, cursor: str) -> tuple[list[ProviderEvent], str]:
        """Everything paid since the cursor (empty: from the beginning), and the next cursor."""
        ...

    async def refund(self, charge: Charge, refund_id: str) -> Refunded | Refused:
        """Once per `refund_id`, however often it is called."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How far a provider was reconciled, and how it fares."""

    provider: str
    cursor: str = ""
    suspended_reason: str = ""
    webhook_seen_at: datetime | None = None
    polled_first: int = 0
    reconciled_at: datetime | None = None


@dataclass(slots=True)
class Subscription:
    """A native subscription, named by the charge that began it."""

    charge_id: str
    user_id: UserId
    plan_id: str
    payment_id: PaymentId
    state: str
    until: datetime
    version: int = 1

    def keeps(self, plan_id: str, account: Account, now: datetime) -> bool:
        """Whether it stands in the way of another one; cancelled and refunded it does not."""
        ends = self.state == CANCELLED and tiers.tier_of(account, now) == TIER_NONE
        return self.plan_id == plan_id and not ends


class Payments(Protocol):
    """Invoices, what providers told us word for word, and how providers fare."""

    async def find(self, connection: Connection, payment_id: PaymentId) -> Payment | None: ...

    async def find_all(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, Payment]: ...

    async def owners(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, UserId]: ...

    async def add(self, connection: Connection, payment: Payment) -> None: ...

    async def save(self, connection: Connection, *payments: Payment) -> None: ...

    async def due(
        self, connection: Connection, provider: str, now: datetime, limit: int
    ) -> list[Payment]:
        """Those to ask the provider about now, the longest waiting first."""
        ...

    async def overdue(
        self, connection: Connection, provider: str, now: datetime, limit: int
    ) -> list[tuple[PaymentId, UserId]]:
        """Open ones whose time has passed."""
        ...

    async def keep_event(
        self, connection: Connection, event: ProviderEvent, provider: str, way: str, now: datetime
    ) -> bool:
        """Keep what was told, as it came. False: this fact was told before."""
        ...

    async def keep_handled(
        self, connection: Connection, handled: Handled, provider: str, way: str, now: datetime
    ) -> None:
        """Keep what was told, as it came first, with the last outcome of each fact."""
        ...

    async def told(self, connection: Connection, provider: str, keys: Sequence[str]) -> set[str]:
        """Which of these facts were told before."""
        ...

    async def state_of(self, connection: Connection, provider: str) -> ProviderState: ...

    async def save_state(self, connection: Connection, state: ProviderState) -> None: ...

    async def suspended(self, connection: Connection) -> frozenset[str]: ...


class PaymentReads(Protocol):
    """What is asked about payments, read without locks."""

    async def payment(self, payment_id: PaymentId) -> Payment | None: ...

    async def charges(self, user_id: UserId, limit: int) -> list[Charge]: ...

    async def held(self, limit: int) -> list[Charge]:
        """Those that wait for a person to decide, the oldest first."""
        ...

    async def subscriptions(self, user_id: UserId, now: datetime) -> list[Subscription]: ...

    async def suspended(self) -> frozenset[str]: ...


class Charges(Protocol):
    """Money that came, and the native subscriptions it keeps alive."""

    async def find(
        self, connection: Connection, provider: str, charge_id: str
    ) -> Charge | None: ...

    async def known(
        self, connection: Connection, provider: str, charge_ids: Sequence[str]
    ) -> set[str]: ...

    async def unclear(
        self, connection: Connection, provider: str, limit: int
    ) -> list[tuple[str, UserId]]:
        """Refunds whose end nobody waits for any more: (charge id, user id)."""
        ...

    async def add(self, connection: Connection, charges: Sequence[Charge]) -> set[str]:
        """Returns those that were not there already."""
        ...

    async def save(self, connection: Connection, charge: Charge) -> None: ...

    async def counts(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, int]:
        """How many were credited for each, refunded since or not; none: it is missing."""
        ...

    async def owners(
        self, connection: Connection, provider: str, charge_ids: Sequence[str]
    ) -> dict[str, UserId]: ...

    async def last_of(
        self, connection: Connection, user_id: UserId, limit: int
    ) -> list[Charge]: ...

    async def subscription(
        self, connection: Connection, *, charge_id: str = "", payment_id: PaymentId | None = None
    ) -> Subscription | None:
        """By the charge that began it, or the newest of a payment."""
        ...

    async def subscriptions(
        self, connection: Connection, user_id: UserId, now: datetime
    ) -> list[Subscription]:
        """Those whose time has not passed; without those that stopped as their money went back."""
        ...

    async def is_given_back(self, connection: Connection, payment_id: PaymentId) -> bool:
        """Whether the last money of a subscription went back, or is on its way."""
        ...

    async def save_subscription(
        self, connection: Connection, subscription: Subscription
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """The limits of money from outside."""

    valid: timedelta = timedelta(hours=1)
    """How long an invoice can be paid."""
    adjust_alone_max: int = 1_000
    """What is given by hand and worth more credits needs a second person."""
    adjust_alone_day_max: int = 5_000
    """So does what one person gives alone in one shop day, all together."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """Where the shop's day begins."""
    price_valid: timedelta = timedelta(minutes=15)
    polled_in_a_row_max: int = 5
    """So many payments found by asking, with no webhook: somebody should look."""
    rows_max: int = 500
    reconcile_every: timedelta = timedelta(days=1)


Hook = Callable[[UnitOfWork, Charge], Awaitable[None]]
"""Told about a charge in the transaction that takes it back."""
Credited = Callable[..., Awaitable[None]]
"""Told, as (uow, *charges), about charges in the transaction that credits them."""


@dataclass(frozen=True, slots=True)
class Till:
    """Everything a handler of outside money works with."""

    books: Books
    payments: Payments
    charges: Charges
    records: Records
    offers: Offers
    on: Mapping[str, Capabilities]
    """Providers that are switched on."""
    terms: PaymentTerms = field(default_factory=PaymentTerms)
    seal: Seal | None = None
    """None: Stars are off."""
    on_credited: tuple[Credited, ...] = ()
    on_taken_back: tuple[Hook, ...] = ()
    before_taking_back: tuple[Hook, ...] = ()
    """Called before a refund takes what a charge bought: what is on its way returns first."""
