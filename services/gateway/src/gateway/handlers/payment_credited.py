"""Money came: say what it brought, and let the order that waited for it go on, once."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.ids import OrderId, PaymentId, derived_id
from contracts.money import NO_CREDITS
from contracts.payments import PaymentCredited
from gateway.domain import checkout, keys, order_screen
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screens import payment, vpn
from gateway.handlers import access_orders, audience, placing
from gateway.handlers.audience import Audience
from gateway.ports import EDIT, Shop

_CLOSED = frozenset({order_screen.DROPPED, order_screen.REFUNDED})


async def payment_credited(event: PaymentCredited, uow: UnitOfWork, *, shop: Shop) -> None:
    """Telegram announces no edit, so the news is a message of its own."""
    shown = await shop.checkouts.find(uow, event.payment_id)
    person = await audience.find(uow, event.user_id, shop=shop)
    if shown is not None and checkout.may_become(shown.state, checkout.PAID):
        await shop.checkouts.save(uow, replace(shown, state=checkout.PAID))
        done = payment.paid(person.say, event)
        await person.close(uow, done, shop=shop, key=keys.payment(event.payment_id))
    bonus = shown.bonus_credits if shown is not None else NO_CREDITS
    screen = payment.credited(person.say, event, person.zone, bonus=bonus)
    await person.tell(uow, screen, shop=shop)
    if event.order_id is not None:
        await _go_on(event.order_id, event.payment_id, uow, person, shop=shop)


async def _go_on(
    order_id: OrderId, payment_id: PaymentId, uow: UnitOfWork, person: Audience, *, shop: Shop
) -> None:
    """The screen's row decides: a second payment for the same order finds it placed."""
    shown = await shop.screens.find(uow, order_id)
    if shown is None:
        await _go_on_with_access(PaymentId(order_id), uow, person, shop=shop)
        return
    if shown.user_id != person.user_id:
        return
    if shown.state in _CLOSED:
        await person.tell(uow, payment.order_not_resumed(person.say), shop=shop)
        return
    if shown.state == order_screen.REFUSED:
        again = await _again(shown, payment_id, uow, shop=shop)
        if again is None:
            return
        shown = again
    elif shown.state != order_screen.PRICED:
        return
    placed = await placing.confirm(shown, uow, shop=shop, say=person.say)
    await shop.deliveries.queue(
        uow,
        user_id=shown.user_id,
        screen=placed.screen,
        kind=EDIT,
        key=keys.order(shown.order_id),
        final=placed.state == order_screen.DROPPED,
    )


async def _go_on_with_access(
    checkout_id: PaymentId, uow: UnitOfWork, person: Audience, *, shop: Shop
) -> None:
    """At the price that was shown, as of now: the payer must not lose it by paying."""
    shown = await shop.checkouts.find(uow, checkout_id)
    if shown is None or shown.user_id != person.user_id or not checkout.may_go_on(shown):
        return
    await shop.checkouts.save(uow, replace(shown, state=checkout.ASKED, method=checkout.CREDITS))
    uow.emit(access_orders.of(shown, priced_at=uow.now))
    key = keys.payment(checkout_id)
    await shop.deliveries.queue(
        uow, user_id=shown.user_id, screen=vpn.starting(person.say), kind=EDIT, key=key
    )


async def _again(
    shown: OrderScreen, payment_id: PaymentId, uow: UnitOfWork, *, shop: Shop
) -> OrderScreen | None:
    """A refused order's id is never used again: the same order under an id made of the payment."""
    order_id = OrderId(derived_id(shown.order_id, "after", payment_id))
    if await shop.screens.find(uow, order_id) is not None:
        return None
    again = replace(
        shown,
        order_id=order_id,
        state=order_screen.PRICED,
        shown_ahead=None,
        cancel_asked=False,
    )
    await shop.screens.add(uow, again)
    return again
