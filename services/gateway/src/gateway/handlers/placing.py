"""Turns a confirmed price screen into one `place_order`, as soon as its photo allows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from chassis.outbox import UnitOfWork
from contracts.billing import PlaceOrder
from contracts.catalogue import Workflow
from gateway.domain import order_screen
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import order, upload
from gateway.ports import MEDIA_FAILED, Media, Shop


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the screen stands now, and what its message shows."""

    state: str
    screen: Screen
    toast: str


async def confirm(shown: OrderScreen, uow: UnitOfWork, *, shop: Shop, say: Say) -> Placed:
    """Place the order, keep the tap until the photo is here, or say why neither is possible.

    `shown` is locked and either PRICED or CONFIRMING.
    """
    title = shop.title(say, shown.workflow_id)
    workflow = shop.catalogue.get(shown.workflow_id)
    found = {photo.id: photo for photo in await shop.media.find(uow, shown.inputs)}
    photos = [found[media_id] for media_id in shown.inputs if media_id in found]
    if workflow is None or len(workflow.inputs) != len(shown.inputs):
        reason: str | None = say("refused-unknown-workflow")
    elif len(photos) < len(shown.inputs):
        reason = say("photo-gone")
    else:
        reason = problem(say, workflow, photos)
    if reason is not None or workflow is None:
        await shop.screens.save(uow, replace(shown, state=order_screen.DROPPED))
        screen = order.photo_lost(say, reason or "")
        return Placed(order_screen.DROPPED, screen, say("order-not-placed"))
    state = order_screen.after_confirm([photo.state for photo in photos])
    await shop.screens.save(uow, replace(shown, state=state))
    if state == order_screen.CONFIRMING:
        waiting = order.waiting_for_photo(say, title, shown.order_id)
        return Placed(state, waiting, say("toast-waiting"))
    _emit(shown, workflow, photos, uow)
    return Placed(state, order.placing(say, title), say("toast-placing"))


def problem(say: Say, workflow: Workflow, photos: Sequence[Media]) -> str | None:
    """Why these photos cannot be used for this; None: they can, or are still on their way."""
    for spec, photo in zip(workflow.inputs, photos, strict=True):
        if photo.state == MEDIA_FAILED:
            return upload.failed(say, photo.error).text
        reason = upload.misfit(say, spec, photo.ref) if photo.ref is not None else None
        if reason is not None:
            return reason
    return None


def _emit(shown: OrderScreen, workflow: Workflow, photos: Sequence[Media], uow: UnitOfWork) -> None:
    inputs = []
    for spec, photo in zip(workflow.inputs, photos, strict=True):
        assert photo.ref is not None, "only available photos are placed"
        inputs.append(msgspec.structs.replace(photo.ref, name=spec.name))
    uow.emit(
        PlaceOrder(
            order_id=shown.order_id,
            user_id=shown.user_id,
            workflow_id=shown.workflow_id,
            catalogue_version=shown.catalogue_version,
            price_credits=shown.price_credits,
            priced_at=shown.priced_at,
            inputs=tuple(inputs),
            params=dict(shown.params),
        ),
        order_id=shown.order_id,
    )
