"""The gateway's effects: what it asks of Telegram for other services, outside any transaction."""

from __future__ import annotations

from chassis.effects import EffectKind
from gateway.handlers import edit_stars_subscription, read_stars_statement, refund_stars
from gateway.ports import Shop, Stars


def effects(stars: Stars, shop: Shop) -> dict[str, EffectKind]:
    """Each kind by name."""
    kinds = (
        refund_stars.effect(stars),
        edit_stars_subscription.effect(stars),
        read_stars_statement.effect(stars, shop),
    )
    return {kind.name: kind for kind in kinds}
