"""Tells the shop what became of an object: unsigned, and again for a day until it says 200."""

import json
from dataclasses import dataclass
from typing import Any

from simulators.provider.webhooks import Delivery, Sender

Json = dict[str, Any]

ATTEMPTS_MAX = 12
# A day of attempts is what is documented; their number, and that the waits double, is a guess.
FIRST_WAIT_SECONDS = 86_400 / (2 ** (ATTEMPTS_MAX - 1) - 1)
DUE_SECONDS = [FIRST_WAIT_SECONDS * (2**number - 1) for number in range(ATTEMPTS_MAX)]


@dataclass(slots=True, kw_only=True)
class Notification(Delivery):
    event: str

    def view(self) -> Json:
        # Not super(): a class with slots is made anew, and the old one is what it would see.
        return {**Delivery.view(self), "event": self.event, "object_id": self.subject}


class WebhookSender(Sender[Notification]):
    due_seconds = DUE_SECONDS

    def send(self, event: str, view: Json) -> Notification:
        number = self.next_id()
        return self.dispatch(Notification(id=number, subject=view["id"], payload=view, event=event))

    def body_of(self, delivery: Notification) -> bytes:
        body = {"type": "notification", "event": delivery.event, "object": delivery.payload}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def headers_of(self, _kind: str, _body: bytes, /) -> tuple[dict[str, str], str]:
        return {}, ""

    def accepts(self, status: int) -> bool:
        return status == 200

    def gave_up(self) -> None:
        """The next notification is tried all the same."""
