"""What can go wrong on purpose at Crypto Pay, besides what can go wrong at every provider."""

from dataclasses import dataclass
from typing import Any

from simulators.provider import faults
from simulators.provider.money import positive
from simulators.telegram.errors import ControlError

KINDS = frozenset({"wrong_amount", "forged", "same_update_id"})


@dataclass(slots=True)
class Fault(faults.Fault):
    invoice_id: int | None = None  # for webhooks and payments: which invoice
    factor: str | None = None  # of wrong_amount: what the amount is multiplied with
    amount: str | None = None  # of wrong_amount: what is paid instead
    asset: str | None = None  # of wrong_amount: in what it is paid instead

    @property
    def subject(self) -> int | None:
        return self.invoice_id


class Faults(faults.Faults[Fault]):
    def __init__(self, seed: int) -> None:
        # createInvoice has no key against being carried out twice.
        super().__init__(seed, Fault, kinds=KINDS, lost_method="createInvoice")

    def add(self, **wish: Any) -> Fault:
        for name in ("amount", "factor"):
            if wish.get(name) is not None and positive(wish[name]) is None:
                raise ControlError(f"{name} must be a positive number")
        return super().add(**wish)
