"""One order as the person sees it, from its price to its progress."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from contracts.billing import Price
from contracts.catalogue import Workflow
from contracts.ids import OrderId
from contracts.money import Credits
from gateway.domain import positions
from gateway.domain.callbacks import CancelOrder, ConfirmOrder, DismissOrder, pack
from gateway.domain.moments import duration, moment
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens import top_up
from gateway.domain.screens.menu import menu_button

_BAR_CELLS = 10
_FULL, _EMPTY = "▓", "░"


def price(say: Say, shown: OrderScreen, workflow: Workflow, quote: Price, zone: ZoneInfo) -> Screen:
    """The price before anything is ordered, with the one button that orders."""
    lines = [
        say("price-title", title=say(workflow.title_key)),
        say(workflow.description_key),
        "",
        price_of(say, shown.price_credits, shown.base_price_credits),
    ]
    if quote.discount_percent:
        lines.append(_discount(say, quote.discount_percent, quote.discount_until, zone))
    if quote.free_left_today is not None:
        lines.append(say("price-free-left", count=quote.free_left_today))
    if shown.price_credits:
        lines.append(say("price-available", credits=quote.available_credits))
    if quote.debt_credits:
        lines.append(say("balance-debt", credits=quote.debt_credits))
    lines.append(say("price-takes", time=duration(say, workflow.expected_seconds)))
    lines.append(say("price-promise"))
    rows = _confirm_rows(say, shown)
    if quote.debt_credits or quote.available_credits < shown.price_credits:
        rows = ((top_up.top_up_button(say, shown.order_id),), *rows)
    return Screen(text="\n".join(lines), buttons=rows)


def price_again(say: Say, shown: OrderScreen, workflow: Workflow, *, changed: bool) -> Screen:
    """After a refusal over the price: the price of now, and the question again."""
    lines = [
        say("price-changed" if changed else "price-expired"),
        "",
        say("price-title", title=say(workflow.title_key)),
        price_of(say, shown.price_credits, shown.base_price_credits),
        say("price-promise"),
    ]
    return Screen(text="\n".join(lines), buttons=_confirm_rows(say, shown))


def price_of(say: Say, amount: Credits, base: Credits) -> str:
    if not amount and base:
        return say("price-free-discounted", base=base)
    if not amount:
        return say("price-free")
    if amount < base:
        return say("price-discounted", credits=amount, base=base)
    return say("price", credits=amount)


def _discount(say: Say, percent: int, until: datetime | None, zone: ZoneInfo) -> str:
    if until is None:
        return say("price-discount", percent=percent)
    return say(
        "price-discount-until", percent=percent, until=moment(say, until, zone), zone=zone.key
    )


def _confirm_rows(say: Say, shown: OrderScreen) -> tuple[tuple[Button, ...], ...]:
    order_id = shown.order_id
    label = (
        say("button-confirm", credits=shown.price_credits)
        if shown.price_credits
        else say("button-confirm-free")
    )
    return (
        (Button(label, pack(ConfirmOrder(order_id))),),
        (Button(say("button-dismiss"), pack(DismissOrder(order_id))),),
    )


def placing(say: Say, title: str) -> Screen:
    return Screen(text=say("order-placing", title=title))


def waiting_for_photo(say: Say, title: str, order_id: OrderId) -> Screen:
    button = Button(say("button-dismiss"), pack(DismissOrder(order_id)))
    return Screen(text=say("order-waiting-for-photo", title=title), buttons=((button,),))


def dismissed(say: Say) -> Screen:
    return Screen(text=say("order-dismissed"), buttons=((menu_button(say, fresh=True),),))


def photo_lost(say: Say, reason: str) -> Screen:
    """A confirmed order that was never placed: its photo is missing or unfit."""
    text = "\n".join([reason, say("order-not-placed")])
    return Screen(text=text, buttons=((menu_button(say, fresh=True),),))


def queued(
    say: Say, title: str, order_id: OrderId, *, ahead: int | None, eta_seconds: float
) -> Screen:
    """`ahead` orders start earlier; None: not known yet."""
    lines = [say("order-accepted", title=title)]
    if ahead is not None:
        shown = positions.milestone(ahead)
        lines.append(say("order-ahead", count=shown) if shown else say("order-next"))
        if eta_seconds > 0:
            lines.append(say("order-eta", time=duration(say, eta_seconds)))
    return Screen(text="\n".join(lines), buttons=_cancel_rows(say, order_id))


def running(
    say: Say, title: str, order_id: OrderId, *, fraction: float, eta_seconds: float
) -> Screen:
    lines = [say("order-running", title=title), progress_bar(fraction)]
    if eta_seconds > 0:
        lines.append(say("order-eta-left", time=duration(say, eta_seconds)))
    return Screen(text="\n".join(lines), buttons=_cancel_rows(say, order_id))


def progress_bar(fraction: float) -> str:
    share = min(max(fraction, 0.0), 1.0)
    full = int(share * _BAR_CELLS)
    return f"{_FULL * full}{_EMPTY * (_BAR_CELLS - full)} {int(share * 100)} %"


def _cancel_rows(say: Say, order_id: OrderId) -> tuple[tuple[Button, ...], ...]:
    return ((Button(say("button-cancel"), pack(CancelOrder(order_id))),),)


def cancelling(say: Say, title: str) -> Screen:
    return Screen(text=say("order-cancelling", title=title))


def orders(say: Say, running_orders: list[tuple[OrderId, str]], *, headline: str) -> Screen:
    """What is under way, each with its cancel button; `running_orders`: (order id, title)."""
    if not running_orders:
        text = "\n".join([headline, say("orders-none")]) if headline else say("orders-none")
        return Screen(text=text, buttons=((menu_button(say),),))
    rows = tuple(
        (Button(say("button-cancel-named", title=title), pack(CancelOrder(order_id))),)
        for order_id, title in running_orders
    )
    listed = say("orders-running", count=len(running_orders))
    text = f"{headline}\n{listed}" if headline else listed
    return Screen(text=text, buttons=(*rows, (menu_button(say),)))
