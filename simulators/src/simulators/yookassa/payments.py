"""The shop's payments and refunds: made, found, kept over a restart."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from simulators.telegram.store import Store

# Ids begin with the seconds since this moment, as the real ones do.
IDS_SINCE = 946_684_800
PENDING = "pending"
WAITING = "waiting_for_capture"
SUCCEEDED = "succeeded"
CANCELED = "canceled"


@dataclass(slots=True)
class Thing:
    """Amounts are kept as the API writes them; moments as seconds since 1970."""

    id: str
    number: int
    value: str


@dataclass(slots=True)
class Payment(Thing):
    created_at: float
    expires_at: float
    capture: bool
    return_url: str
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    receipt: dict[str, Any] | None = None
    status: str = PENDING
    captured_at: float | None = None
    refunded: str = "0.00"
    cancel_party: str | None = None
    cancel_reason: str | None = None


@dataclass(slots=True)
class Refund(Thing):
    payment_id: str
    created_at: float
    status: str = SUCCEEDED
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    receipt: dict[str, Any] | None = None
    cancel_reason: str | None = None


AnyThing = TypeVar("AnyThing", bound=Thing)


class Things(Generic[AnyThing]):
    def __init__(self, kind: type[AnyThing], store: Store) -> None:
        self._kind = kind
        self._store = store
        self._by_id: dict[str, AnyThing] = {}
        self._last_number = 0
        for body in sorted(store.load(kind.__name__), key=lambda body: int(body["number"])):
            self._take(kind(**body))

    def make(self, **values: Any) -> AnyThing:
        seconds = int(time.time()) - IDS_SINCE
        tail = secrets.token_hex(8)
        id_ = f"{seconds:08x}-000f-5{tail[:3]}-a{tail[3:6]}-{tail[4:]}"
        thing = self._kind(id=id_, number=self._last_number + 1, **values)
        self._take(thing)
        self.changed(thing)
        return thing

    def _take(self, thing: AnyThing) -> None:
        self._last_number = thing.number
        self._by_id[thing.id] = thing

    def changed(self, thing: AnyThing) -> None:
        self._store.save(self._kind.__name__, thing.id, thing)

    def get(self, id_: str) -> AnyThing | None:
        return self._by_id.get(id_)

    def newest_first(self) -> Iterator[AnyThing]:
        return reversed(self._by_id.values())

    def clear(self) -> None:
        self._by_id.clear()
