"""Tell a person that what they tapped changed nothing."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.access import BuyAccess
from contracts.billing import CancelOrder, CommandRejected, PlaceOrder
from contracts.payments import BuyPlan, ChangeSubscription, CreatePayment
from contracts.rewards import MakeGift, OpenGift, RedeemPromo, TakeDraw
from gateway.domain import order_screen
from gateway.domain.screens import menu
from gateway.handlers import audience
from gateway.ports import Shop

_REWARDS = frozenset(kind.subject for kind in (RedeemPromo, TakeDraw, MakeGift, OpenGift))
_PAYMENTS = frozenset(
    kind.subject for kind in (CreatePayment, BuyPlan, BuyAccess, ChangeSubscription)
)
_ORDERS = frozenset({CancelOrder.subject, PlaceOrder.subject})


async def command_rejected(event: CommandRejected, uow: UnitOfWork, *, shop: Shop) -> None:
    """Only what a person asked for is answered; operators see their own commands' rejections."""
    if not event.user_id or event.command_subject not in _REWARDS | _PAYMENTS | _ORDERS:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    if event.command_subject in _REWARDS:
        await person.tell(uow, menu.page(person.say, "reward-rejected"), shop=shop)
        return
    if event.command_subject in _PAYMENTS:
        await person.tell(uow, menu.page(person.say, "payment-rejected"), shop=shop)
        return
    if event.command_subject == CancelOrder.subject:
        await _may_ask_again(event, uow, shop=shop)
        await person.tell(uow, menu.page(person.say, "cancel-not-possible"), shop=shop)
        return
    shown = await shop.screens.find(uow, event.order_id) if event.order_id is not None else None
    if shown is not None and order_screen.may_become(shown.state, order_screen.REFUSED):
        await shop.screens.save(uow, replace(shown, state=order_screen.REFUSED))
    await person.tell(uow, menu.page(person.say, "command-rejected"), shop=shop)


async def _may_ask_again(event: CommandRejected, uow: UnitOfWork, *, shop: Shop) -> None:
    """The cancel was not taken: the order goes on, and so does the button that stops it."""
    shown = await shop.screens.find(uow, event.order_id) if event.order_id is not None else None
    if shown is not None and shown.cancel_asked and shown.state in order_screen.IN_FLIGHT:
        await shop.screens.save(uow, replace(shown, cancel_asked=False))
