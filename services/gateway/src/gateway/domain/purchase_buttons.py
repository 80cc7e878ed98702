"""The buttons of a purchase, and their data: which pack or plan, paid how, for which order."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.ids import OrderId, PaymentId
from gateway.domain.packed_ids import ID_LENGTH, pack_id, unpack_id

_STOP, _RESUME = "stop", "resume"


@dataclass(frozen=True, slots=True)
class TopUpFor:
    """Show the packs, for an order that too few credits keep from going on."""

    order_id: OrderId


@dataclass(frozen=True, slots=True)
class ChoosePack:
    """Ask how a pack is to be paid; `order_id`: the order that waits for it."""

    pack_id: str
    order_id: OrderId | None = None


@dataclass(frozen=True, slots=True)
class ChoosePlan:
    """Ask how a plan is to be paid."""

    plan_id: str


@dataclass(frozen=True, slots=True)
class PayWith:
    """Buy what the screen shows. One screen is at most one payment, whatever is tapped."""

    checkout_id: PaymentId
    method: str


@dataclass(frozen=True, slots=True)
class DropPayment:
    """Not this payment, after all."""

    checkout_id: PaymentId


@dataclass(frozen=True, slots=True)
class ChangeRenewals:
    """Stop or resume a subscription; `charge_mark` stands for the charge that began it."""

    charge_mark: str
    cancelled: bool


Purchase = TopUpFor | ChoosePack | ChoosePlan | PayWith | DropPayment | ChangeRenewals


def parts(purchase: Purchase) -> tuple[str, str]:
    """The prefix and the rest of a button's data."""
    match purchase:
        case TopUpFor(order_id=order_id):
            return "t", pack_id(order_id)
        case ChoosePack(pack_id=name, order_id=waiting):
            return "pk", f"{pack_id(waiting) if waiting is not None else ''}:{name}"
        case ChoosePlan(plan_id=name):
            return "pl", name
        case PayWith(checkout_id=checkout_id, method=method):
            return "pw", f"{pack_id(checkout_id)}:{method}"
        case DropPayment(checkout_id=checkout_id):
            return "px", pack_id(checkout_id)
        case ChangeRenewals(charge_mark=mark, cancelled=cancelled):
            return "ps", f"{mark}:{_STOP if cancelled else _RESUME}"


def read(prefix: str, rest: str) -> Purchase | None:
    """What such a button means; None: it is not one of these, or it is cut or forged."""
    first, _, second = rest.partition(":")
    found = unpack_id(first)
    if prefix == "pk":
        known = bool(second) and (found is not None or not first)
        return ChoosePack(second, OrderId(found) if found else None) if known else None
    if prefix == "pl":
        return ChoosePlan(rest) if rest else None
    if prefix == "ps":
        known = len(first) == ID_LENGTH and second in {_STOP, _RESUME}
        return ChangeRenewals(first, cancelled=second == _STOP) if known else None
    if found is None:
        return None
    if prefix == "pw":
        return PayWith(PaymentId(found), second) if second else None
    if second:
        return None
    if prefix == "t":
        return TopUpFor(OrderId(found))
    return DropPayment(PaymentId(found)) if prefix == "px" else None
