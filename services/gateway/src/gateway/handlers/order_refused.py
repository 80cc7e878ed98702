"""Say why nothing was ordered; over a changed price, show the new one and ask again."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.billing import OrderRefused
from contracts.ids import OrderId
from gateway.domain import keys, order_screen
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Screen
from gateway.domain.screens import order, outcome
from gateway.handlers import audience
from gateway.handlers.audience import Audience
from gateway.ports import EDIT, Shop

_PRICE_CODES = frozenset({errors.PRICE_CHANGED, errors.PRICE_EXPIRED})


async def order_refused(event: OrderRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    shown = await shop.screens.find(uow, event.order_id)
    if shown is None or not order_screen.may_become(shown.state, order_screen.REFUSED):
        return
    await shop.screens.save(uow, replace(shown, state=order_screen.REFUSED))
    person = await audience.find(uow, shown.user_id, shop=shop)
    asked_again = await _ask_again(event, shown, uow, person, shop=shop)
    renews = outcome.quota_renews(uow.now, shop.shop_zone, person.zone)
    title = shop.title(person.say, shown.workflow_id)
    screen = outcome.refused(person.say, event, shown, title=title, renews=renews)
    if asked_again:
        screen = Screen(text=screen.text)
    await shop.deliveries.queue(
        uow,
        user_id=shown.user_id,
        screen=screen,
        kind=EDIT,
        key=keys.order(shown.order_id),
        final=True,
    )


async def _ask_again(
    event: OrderRefused, shown: OrderScreen, uow: UnitOfWork, person: Audience, *, shop: Shop
) -> bool:
    """A new screen with an order id of its own: the refused one is never used again."""
    workflow = shop.catalogue.get(shown.workflow_id)
    if event.code not in _PRICE_CODES or event.price_credits is None or workflow is None:
        return False
    again = replace(
        shown,
        order_id=OrderId(shop.new_id()),
        catalogue_version=workflow.version,
        price_credits=event.price_credits,
        base_price_credits=max(workflow.price_credits, event.price_credits),
        priced_at=uow.now,
        state=order_screen.PRICED,
    )
    await shop.screens.add(uow, again)
    changed = event.code == errors.PRICE_CHANGED
    await person.tell(
        uow,
        order.price_again(person.say, again, workflow, changed=changed),
        shop=shop,
        key=keys.order(again.order_id),
    )
    return True
