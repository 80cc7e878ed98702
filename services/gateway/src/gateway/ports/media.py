"""The files people send: what is known of them, and who keeps them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contracts.ids import MediaId, UserId
from contracts.media import MediaRef

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork

# Why a file was not taken (media rows, `media_failed`).
MEDIA_TOO_LARGE = "too_large"
MEDIA_TOO_MANY_PIXELS = "too_many_pixels"
MEDIA_NOT_AN_IMAGE = "not_an_image"
MEDIA_ANIMATED = "animated"
MEDIA_DAMAGED = "damaged"
MEDIA_UNREACHABLE = "unreachable"

# States of a media row.
MEDIA_PENDING = "pending"
MEDIA_AVAILABLE = "available"
MEDIA_FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A file a person sent, as Telegram describes it: none of it is to be trusted."""

    file_id: str
    file_unique_id: str
    size_bytes: int = 0
    mime: str = ""
    file_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One row of the media table. `ref` is set once it is available, `error` once it failed."""

    id: MediaId
    user_id: UserId
    state: str
    ref: MediaRef | None = None
    thumbnail: MediaRef | None = None
    error: str = ""


class MediaStore(Protocol):
    """The files people send: fetched, checked and re-encoded behind the conversation."""

    async def accept(self, uow: UnitOfWork, *, user_id: UserId, incoming: Incoming) -> Media:
        """Record a file and start its download after the commit.

        The same file of the same person gives the same row; a failed one is tried again.
        """
        ...

    async def find(self, uow: UnitOfWork, media_ids: tuple[MediaId, ...]) -> list[Media]:
        """The rows, locked until the commit so that none changes under a decision."""
        ...


MediaHook = Callable[[Media, "UnitOfWork"], Awaitable[None]]
"""Features: `media_available(media, uow, ...)`, `media_failed(media, uow, ...)`; extras bound."""
