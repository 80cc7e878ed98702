"""The names under which sent messages are remembered, so that they can be edited later."""

from __future__ import annotations

from uuid import UUID


def order(order_id: UUID) -> str:
    """The one message that follows an order: price, queue, progress, end."""
    return f"order:{order_id}"


def upload(media_id: UUID) -> str:
    """The answer to an upload: what can be made of it, or why nothing can."""
    return f"media:{media_id}"


def welcome(user_id: int) -> str:
    return f"welcome:{user_id}"
