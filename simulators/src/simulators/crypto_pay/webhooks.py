"""Tells the app that an invoice was paid: signed, retried for three days, then switched off."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from simulators.crypto_pay.options import Options
from simulators.provider.faults import Faults
from simulators.provider.moments import iso
from simulators.provider.webhooks import Delivery, Sender
from simulators.telegram.clock import SimClock

Json = dict[str, Any]

SIGNATURE_HEADER = "crypto-pay-api-signature"
ATTEMPTS_MAX = 17
# Seventeen attempts in three days is what is documented; that the waits double is a guess.
FIRST_WAIT_SECONDS = 3 * 86_400 / (2 ** (ATTEMPTS_MAX - 1) - 1)
DUE_SECONDS = [FIRST_WAIT_SECONDS * (2**number - 1) for number in range(ATTEMPTS_MAX)]
OVERHEARD_TOKEN = "0:somebody-else"


def sign(token: str, body: bytes) -> str:
    key = hashlib.sha256(token.encode()).digest()
    return hmac.new(key, body, hashlib.sha256).hexdigest()


@dataclass(slots=True, kw_only=True)
class InvoicePaid(Delivery):
    update_id: int

    def view(self) -> Json:
        # Not super(): a class with slots is made anew, and the old one is what it would see.
        view = Delivery.view(self)
        return {**view, "update_id": self.update_id, "invoice_id": self.subject}


class WebhookSender(Sender[InvoicePaid]):
    due_seconds = DUE_SECONDS

    def __init__(self, options: Options, faults: Faults[Any], clock: SimClock) -> None:
        super().__init__(options, faults, clock)
        self._token = options.token

    def send(self, invoice_id: int, payload: Json) -> InvoicePaid:
        same = self._faults.about("same_update_id", invoice_id) is not None
        number = self.next_id()
        update_id = number - 1 if same and number > 1 else number
        paid = InvoicePaid(id=number, subject=invoice_id, payload=payload, update_id=update_id)
        return self.dispatch(paid)

    def body_of(self, delivery: InvoicePaid) -> bytes:
        update = {
            "update_id": delivery.update_id,
            "update_type": "invoice_paid",
            "request_date": iso(self._clock.now()),
            "payload": delivery.payload,
        }
        return json.dumps(update, ensure_ascii=False, separators=(",", ":")).encode()

    def headers_of(self, kind: str, body: bytes, /) -> tuple[dict[str, str], str]:
        signature = sign(OVERHEARD_TOKEN if kind == "forged" else self._token, body)
        return {SIGNATURE_HEADER: signature}, signature

    def accepts(self, status: int) -> bool:
        return 200 <= status <= 299

    def gave_up(self) -> None:
        self.disable(f"no answer after {ATTEMPTS_MAX} attempts")

    def forgery(self, invoice_id: int, payload: Json) -> InvoicePaid:
        following = self._last_id + 1
        return InvoicePaid(id=0, subject=invoice_id, payload=payload, update_id=following)
