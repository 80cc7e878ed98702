"""What can go wrong on purpose at YooKassa, besides what can go wrong at every provider."""

from dataclasses import dataclass
from typing import Any

from simulators.provider import faults
from simulators.provider.money import positive
from simulators.telegram.errors import ControlError

KINDS = frozenset({"wrong_amount", "decline", "refund_pending", "refund_canceled", "charge_back"})


@dataclass(slots=True)
class Fault(faults.Fault):
    object_id: str | None = None  # which payment; for webhooks also which refund
    amount: str | None = None  # of wrong_amount: what is paid instead; without it half
    reason: str | None = None  # of decline and refund_canceled

    @property
    def subject(self) -> str | None:
        return self.object_id


class Faults(faults.Faults[Fault]):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, Fault, kinds=KINDS, lost_method="create_payment")

    def add(self, **wish: Any) -> Fault:
        if wish.get("amount") is not None and positive(wish["amount"]) is None:
            raise ControlError("amount must be a positive number")
        return super().add(**wish)
