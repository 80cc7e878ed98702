"""Only the person a screen was shown to may tap its buttons."""

from __future__ import annotations

from contracts.ids import MediaId, OrderId, PaymentId
from gateway.domain.checkout import Checkout
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Say
from gateway.ports import Media, Shop, Turn


async def own_order(order_id: OrderId, *, turn: Turn, shop: Shop, say: Say) -> OrderScreen | None:
    """The person's own screen, locked; None: unknown or somebody else's, and a toast said so."""
    shown = await shop.screens.find(turn.uow, order_id)
    if shown is None:
        turn.toast(say("toast-old-button"))
        return None
    if shown.user_id != turn.person.user_id:
        turn.toast(say("toast-not-yours"), alert=True)
        return None
    return shown


async def own_photo(media_id: MediaId, *, turn: Turn, shop: Shop, say: Say) -> Media | None:
    """The person's own photo, locked; None: gone or somebody else's, and a toast said so."""
    found = await shop.media.find(turn.uow, (media_id,))
    if not found:
        turn.toast(say("photo-gone"), alert=True)
        return None
    if found[0].user_id != turn.person.user_id:
        turn.toast(say("toast-not-yours"), alert=True)
        return None
    return found[0]


async def own_checkout(
    checkout_id: PaymentId, *, turn: Turn, shop: Shop, say: Say
) -> Checkout | None:
    """The person's own payment screen, locked; None: a toast said why not."""
    shown = await shop.checkouts.find(turn.uow, checkout_id)
    if shown is None:
        turn.toast(say("toast-old-button"))
        return None
    if shown.user_id != turn.person.user_id:
        turn.toast(say("toast-not-yours"), alert=True)
        return None
    return shown
