"""The app's invoices: made, found, paid, expired by the clock, deleted, kept over a restart."""

import heapq
import secrets
import string
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.telegram.clock import SimClock
from simulators.telegram.store import Store

HASH_CHARACTERS = string.ascii_letters + string.digits
HASH_LENGTH = 10
KIND = "invoice"


@dataclass(slots=True)
class Invoice:
    """Amounts are kept as the API writes them; moments as seconds since 1970."""

    invoice_id: int
    hash: str
    currency_type: str
    amount: str
    created_at: float
    asset: str | None = None
    fiat: str | None = None
    accepted_assets: list[str] = field(default_factory=list)
    description: str | None = None
    hidden_message: str | None = None
    payload: str | None = None
    paid_btn_name: str | None = None
    paid_btn_url: str | None = None
    swap_to: str | None = None
    allow_comments: bool = True
    allow_anonymous: bool = True
    expires_at: float | None = None
    status: str = "active"
    deleted: bool = False
    paid_at: float | None = None
    paid_asset: str | None = None
    paid_amount: str | None = None
    paid_usd_rate: str | None = None
    paid_fiat_rate: str | None = None
    fee_asset: str | None = None
    fee_amount: str | None = None
    fee_in_usd: str | None = None
    paid_anonymously: bool | None = None
    comment: str | None = None
    # Crypto Pay does not tell the app who paid; tests want to know.
    paid_by: int | None = None


class Invoices:
    def __init__(self, clock: SimClock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._by_id: dict[int, Invoice] = {}
        self._by_hash: dict[str, Invoice] = {}
        self._expiring: list[tuple[float, int]] = []
        # Not from 1: an id must stay new for a shop whose database outlives this process.
        self._last_id = int(time.time())
        for body in sorted(store.load(KIND), key=lambda body: int(body["invoice_id"])):
            self._take(Invoice(**body))

    def make(self, **values: Any) -> Invoice:
        invoice = Invoice(
            invoice_id=self._last_id + 1,
            hash="IV" + "".join(secrets.choice(HASH_CHARACTERS) for _ in range(HASH_LENGTH)),
            created_at=self._clock.now(),
            **values,
        )
        self._take(invoice)
        self.changed(invoice)
        return invoice

    def _take(self, invoice: Invoice) -> None:
        self._last_id = max(self._last_id, invoice.invoice_id)
        if invoice.deleted:
            return
        self._by_id[invoice.invoice_id] = invoice
        self._by_hash[invoice.hash] = invoice
        if invoice.expires_at is not None and invoice.status == "active":
            heapq.heappush(self._expiring, (invoice.expires_at, invoice.invoice_id))

    def changed(self, invoice: Invoice) -> None:
        self._store.save(KIND, invoice.invoice_id, invoice)

    def expire_due(self) -> None:
        now = self._clock.now()
        while self._expiring and self._expiring[0][0] <= now:
            _, invoice_id = heapq.heappop(self._expiring)
            invoice = self._by_id.get(invoice_id)
            if invoice is not None:
                self.expire(invoice)

    def expire(self, invoice: Invoice) -> None:
        if invoice.status == "active":
            invoice.status = "expired"
            self.changed(invoice)

    def get(self, invoice_id: int) -> Invoice | None:
        self.expire_due()
        return self._by_id.get(invoice_id)

    def with_hash(self, hash_: str) -> Invoice | None:
        self.expire_due()
        return self._by_hash.get(hash_)

    def newest_first(self) -> Iterator[Invoice]:
        self.expire_due()
        return reversed(self._by_id.values())

    def delete(self, invoice: Invoice) -> None:
        invoice.deleted = True
        del self._by_id[invoice.invoice_id], self._by_hash[invoice.hash]
        self.changed(invoice)

    def clear(self) -> None:
        """Ids go on from where they are."""
        self._by_id.clear()
        self._by_hash.clear()
        self._expiring.clear()
