"""How an order ends, as the person sees it: refused, completed with its result, or refunded."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from contracts import errors
from contracts.billing import OrderCompleted, OrderRefunded, OrderRefused
from contracts.ids import OrderId
from contracts.media import MediaRef
from contracts.money import NO_CREDITS, Credits
from gateway.domain import callbacks
from gateway.domain.callbacks import ChooseWorkflow, OpenPage, SendAsFile, pack
from gateway.domain.moments import clock_time, next_midnight
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens import top_up
from gateway.domain.screens.menu import menu_button

_FAILURES = {
    errors.FAILED_BAD_INPUT: "refund-bad-input",
    errors.FAILED_TIMEOUT: "refund-timeout",
    errors.CANCELLED_TOO_LATE: "refund-too-late",
    errors.HOLD_EXPIRED: "refund-no-answer",
}


def refused(
    say: Say,
    event: OrderRefused,
    shown: OrderScreen,
    *,
    title: str,
    renews: str,
) -> Screen:
    """Why nothing was ordered, what would help, and that nothing was charged."""
    reason = _refusal(say, event, shown, renews=renews)
    text = "\n".join([say("refused-title", title=title), reason, say("not-charged")])
    return Screen(text=text, buttons=_rows(say, _helpful_row(say, event.code, shown)))


def _helpful_row(say: Say, code: str, shown: OrderScreen) -> tuple[Button, ...]:
    """The button that leads out of this refusal, if there is one."""
    if code == errors.INSUFFICIENT_CREDITS:
        return (top_up.top_up_button(say, shown.order_id),)
    if code == errors.IN_DEBT:
        balance = Button(say("button-balance"), pack(OpenPage(callbacks.BALANCE, fresh=True)))
        return (top_up.top_up_button(say, shown.order_id), balance)
    if code == errors.IN_FLIGHT_CAP:
        return (Button(say("button-orders"), pack(OpenPage(callbacks.ORDERS, fresh=True))),)
    if code in {
        errors.QUEUE_FULL,
        errors.NO_ACCOUNT,
        errors.PRICE_EXPIRED,
        errors.PRICE_CHANGED,
    }:
        return _again_row(say, shown, "button-try-again")
    return ()


def _rows(say: Say, *rows: tuple[Button, ...]) -> tuple[tuple[Button, ...], ...]:
    """The rows that have a button, and the menu below them."""
    return (*(row for row in rows if row), (menu_button(say, fresh=True),))


def _refusal(say: Say, event: OrderRefused, shown: OrderScreen, *, renews: str) -> str:
    if event.code == errors.INSUFFICIENT_CREDITS:
        needed = event.price_credits if event.price_credits is not None else shown.price_credits
        available = event.available_credits or 0
        return say(
            "refused-insufficient",
            credits=needed,
            available=say("amount", credits=available),
            missing=max(needed - available, 0),
        )
    if event.code == errors.IN_DEBT and event.debt_credits:
        return top_up.owing(say, event.debt_credits, shown.price_credits)
    if event.code == errors.QUOTA_EXCEEDED:
        return say("refused-quota", count=event.limit or 0, time=renews)
    if event.code == errors.IN_FLIGHT_CAP:
        return say("refused-in-flight", count=event.limit or 0)
    simple = {
        errors.QUEUE_FULL: "refused-queue-full",
        errors.UNKNOWN_WORKFLOW: "refused-unknown-workflow",
        errors.NO_ACCOUNT: "refused-no-account",
        errors.IN_DEBT: "refused-in-debt",
        errors.PRICE_EXPIRED: "price-expired",
        errors.PRICE_CHANGED: "price-changed",
    }
    return say(simple.get(event.code, "refused-other"))


def quota_renews(now: datetime, shop_zone: ZoneInfo, zone: ZoneInfo) -> str:
    """The shop's midnight, on the person's clock."""
    return clock_time(next_midnight(now, shop_zone), zone)


def completed(say: Say, event: OrderCompleted, title: str) -> Screen:
    """The status message's last text; the result itself follows as its own message."""
    lines = [say("order-completed", title=title)]
    if event.cancel_lost:
        lines.append(say("order-cancel-lost"))
    return Screen(text="\n".join(lines))


def charged(say: Say, amount: Credits, *, gift: bool, base: Credits) -> str:
    """`base`: the price without the discount this order was given; 0: not known."""
    if gift:
        return say("result-gift")
    if 0 < amount < base:
        return say("result-charged-discounted", credits=amount, base=base)
    return say("result-charged", credits=amount) if amount else say("result-free")


def result(
    say: Say,
    output: MediaRef,
    title: str,
    *,
    note: str,
    shown: OrderScreen | None,
    order_id: OrderId,
) -> Screen:
    """The picture or video with its buttons. `note`: what was charged and what is left."""
    row = [Button(say("button-as-file"), pack(SendAsFile(order_id)))]
    if shown is not None:
        row.extend(_again_row(say, shown, "button-once-more"))
    is_video = output.kind == "video"
    return Screen(
        text="\n".join([say("result-title", title=title), note]),
        photo=None if is_video else output,
        video=output if is_video else None,
        buttons=(tuple(row),),
    )


def result_note(
    say: Say,
    amount: Credits,
    *,
    gift: bool,
    available: Credits | None,
    base: Credits = NO_CREDITS,
) -> str:
    note = charged(say, amount, gift=gift, base=base)
    return note if available is None else f"{note} {say('result-balance', credits=available)}"


def as_file(say: Say, output: MediaRef, title: str) -> Screen:
    is_video = output.kind == "video"
    return Screen(
        text=say("result-title", title=title),
        photo=None if is_video else output,
        video=output if is_video else None,
        document=True,
    )


def refunded(say: Say, event: OrderRefunded, shown: OrderScreen | None, title: str) -> Screen:
    """What went wrong, and that the credits are back."""
    lines = [_reason(say, event, title), say("not-charged")]
    back = Credits(event.returned_credits - event.debt_paid_credits)
    if back:
        lines[1] = say("not-charged-returned", credits=back)
    if event.debt_paid_credits:
        lines.append(say("not-charged-debt", credits=event.debt_paid_credits))
    again = _again_row(say, shown, "button-try-again") if shown is not None else ()
    return Screen(text="\n".join(lines), buttons=_rows(say, again))


def stopped(say: Say, event: OrderRefunded, title: str) -> Screen:
    """The status message's last text, where a message of its own says the rest."""
    return Screen(text=_reason(say, event, title))


def was_cancelled(event: OrderRefunded) -> bool:
    return event.cancelled or event.reason.startswith("cancelled")


def _reason(say: Say, event: OrderRefunded, title: str) -> str:
    if was_cancelled(event):
        return say("refund-cancelled", title=title)
    return say(_FAILURES.get(event.reason, "refund-failed"), title=title)


def _again_row(say: Say, shown: OrderScreen, key: str) -> tuple[Button, ...]:
    """A new price screen for the same photo; an order without a photo has no such button."""
    if not shown.inputs:
        return ()
    return (Button(say(key), pack(ChooseWorkflow(shown.inputs[0], shown.workflow_id))),)
