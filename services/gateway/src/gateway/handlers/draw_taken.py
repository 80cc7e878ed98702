"""Show what was drawn, on the message it was drawn from."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import DrawTaken
from gateway.domain import keys
from gateway.domain.screens import draw
from gateway.handlers import audience
from gateway.ports import Shop


async def draw_taken(event: DrawTaken, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = draw.taken(person.say, event, person.zone)
    await person.close(uow, screen, shop=shop, key=keys.draw(event.day))
