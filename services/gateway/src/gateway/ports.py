"""What routers and handlers may ask of the Telegram side: a Turn's answers, deliveries, media."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from contracts.catalogue import Catalogue
from contracts.envelope import Reply
from contracts.generator import JobProgress
from contracts.media import MediaRef
from gateway.domain.order_screen import OrderScreen
from gateway.domain.screen import Button, Say, Screen

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork

__all__ = ["Button", "Screen"]  # drawn in domain, which may not import ports

R = TypeVar("R", bound=Reply)

# Kinds of answers and deliveries.
SEND = "send"
EDIT = "edit"
TOAST = "toast"
DELETE = "delete"
RESULT = "result"

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


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to do in the chat after the commit; kept with the update, so a repeat repeats it.

    `kind` is send, edit, toast or delete. An edit names its message by `message_id` or,
    for a remembered one, by `key`.
    """

    kind: str
    screen: Screen | None = None
    message_id: int = 0
    key: str = ""
    final: bool = False
    text: str = ""
    alert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who the bot talks to; the row is created by the person's first update."""

    user_id: int
    language: str
    time_zone: str = ""
    is_new: bool = False
    blocked: bool = False
    opened_at: datetime | None = None


@dataclass(slots=True)
class Conversation:
    """The aiogram FSM state and data of one person: one row, loaded and written with the update."""

    state: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    changed: bool = False


class Reads:
    """The replies of the RPCs declared by `bot/reads.py`, asked before the transaction opened."""

    def __init__(self, replies: dict[type[Reply], Reply | None]) -> None:
        self._replies = replies

    def get(self, kind: type[R]) -> R | None:
        """The reply, or None: it was not declared, or billing did not answer within 2 s."""
        reply = self._replies.get(kind)
        return reply if isinstance(reply, kind) else None


class Turn:
    """One update's work. Answers are data: stored with the update, sent after the commit."""

    __slots__ = ("_sleepers", "answers", "chat_id", "person", "uow", "update_id")

    def __init__(self, *, uow: UnitOfWork, person: Person, update_id: int, chat_id: int) -> None:
        self.uow = uow
        self.person = person
        self.update_id = update_id
        self.chat_id = chat_id
        self.answers: list[Answer] = []
        self._sleepers: list[Callable[[], None]] = []

    def reply(self, screen: Screen, *, key: str = "") -> None:
        """Send a new message; under `key` (e.g. `order:<id>`) its message id is remembered."""
        self.answers.append(Answer(kind=SEND, screen=screen, key=key))

    def edit(self, message_id: int, screen: Screen) -> None:
        """Edit a message the bot sent; it goes at once and replaces any edit still waiting."""
        self.answers.append(Answer(kind=EDIT, screen=screen, message_id=message_id))

    def edit_keyed(self, key: str, screen: Screen, *, final: bool = False) -> None:
        """Edit the message remembered under `key`, or send it if there is none.

        After a `final` one, later progress no longer touches the message.
        """
        self.answers.append(Answer(kind=EDIT, screen=screen, key=key, final=final))

    def remember(self, key: str, message_id: int) -> None:
        """Remember an existing message (one a button was tapped on) under `key`."""
        self.answers.append(Answer(kind=EDIT, key=key, message_id=message_id))

    def toast(self, text: str = "", *, alert: bool = False) -> None:
        """Answer the callback query; a tap nobody toasts is answered silently."""
        self.answers.append(Answer(kind=TOAST, text=text, alert=alert))

    def delete(self, message_id: int) -> None:
        self.answers.append(Answer(kind=DELETE, message_id=message_id))

    def after_commit(self, wake: Callable[[], None]) -> None:
        """Call `wake` once the update is committed: a wake-up lost in a crash is swept."""
        self._sleepers.append(wake)

    def committed(self) -> None:
        for wake in self._sleepers:
            wake()


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

    id: UUID
    user_id: int
    state: str
    ref: MediaRef | None = None
    thumbnail: MediaRef | None = None
    error: str = ""


class MediaStore(Protocol):
    """The files people send: fetched, checked and re-encoded behind the conversation."""

    async def accept(self, uow: UnitOfWork, *, user_id: int, incoming: Incoming) -> Media:
        """Record a file and start its download after the commit.

        The same file of the same person gives the same row; a failed one is tried again.
        """
        ...

    async def find(self, uow: UnitOfWork, media_ids: tuple[UUID, ...]) -> list[Media]:
        """The rows, locked until the commit so that none changes under a decision."""
        ...


class Deliveries(Protocol):
    """Messages an event causes: recorded with it, sent by whoever holds the person's shard."""

    async def queue(
        self,
        uow: UnitOfWork,
        *,
        user_id: int,
        screen: Screen,
        kind: str = SEND,
        order_id: UUID | None = None,
        key: str = "",
        final: bool = False,
        part: int = 0,
    ) -> bool:
        """Record one message: `SEND` a new one, `EDIT` the one remembered under `key`, or `RESULT`.

        A `RESULT` exists once per (order_id, part): False = it was already there. When the last
        part is settled `delivery_recorded` is emitted. An EDIT supersedes waiting edits of its key.
        """
        ...


class Sweeper(Protocol):
    """Deletes stored objects nothing refers to any more."""

    def request(self) -> None:
        """Start a sweep soon; asking twice is asking once."""
        ...


class Texts(Protocol):
    """Every sentence the bot says (`bot/texts/<lang>.ftl`)."""

    @property
    def languages(self) -> Mapping[str, str]:
        """Each language's own name by its code."""
        ...

    def say(self, language: str) -> Say:
        """The sentences of one language; an unknown language gets the default one."""
        ...

    def pick(self, language_code: str | None) -> str:
        """The language for a Telegram `language_code` such as `ru-RU`."""
        ...


class People(Protocol):
    """The people the bot talks to."""

    async def find(self, uow: UnitOfWork, user_id: int) -> Person | None: ...

    async def set_language(self, uow: UnitOfWork, user_id: int, language: str) -> None: ...


class OrderScreens(Protocol):
    """The rows of the price screens people were shown: one row is at most one order."""

    async def add(self, uow: UnitOfWork, screen: OrderScreen) -> None: ...

    async def find(self, uow: UnitOfWork, order_id: UUID) -> OrderScreen | None:
        """The row, locked until the commit."""
        ...

    async def waiting_for(self, uow: UnitOfWork, media_id: UUID) -> list[OrderScreen]:
        """Confirmed screens that need this file, locked until the commit."""
        ...

    async def queued(
        self, uow: UnitOfWork, *, shards: Collection[int], after: UUID, limit: int
    ) -> list[OrderScreen]:
        """Accepted orders of these shards' people that have not started, ids above `after`."""
        ...

    async def in_flight(self, uow: UnitOfWork, user_id: int) -> list[OrderScreen]:
        """What the person ordered and has not got yet, oldest first."""
        ...

    async def save(self, uow: UnitOfWork, screen: OrderScreen) -> None:
        """Write what may change: state, outputs, shown_ahead, cancel_asked."""
        ...


class Notices(Protocol):
    """The texts the edge needs by itself (`bot/notices.py`, class `BotNotices`)."""

    def sorry(self, language: str) -> Screen:
        """Something went wrong with what the person did; it was parked."""
        ...

    def groups_not_served(self, language: str) -> Screen: ...

    def progress(self, language: str, workflow_id: str, progress: JobProgress) -> Screen:
        """The status message of a running order, with its cancel button."""
        ...

    def download_failed(self, language: str, reason: str, user_id: int) -> Screen:
        """To the operators' chat: a file could not be fetched after every retry."""
        ...

    def payments_closed(self, language: str) -> str:
        """Why a pre-checkout is declined (at most 200 characters)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """All that routers and handlers of the shop work with; bound once in main.py."""

    catalogue: Catalogue
    texts: Texts
    screens: OrderScreens
    people: People
    media: MediaStore
    deliveries: Deliveries
    new_id: Callable[[], UUID]
    shop_zone: ZoneInfo
    """The shop's day ends at midnight there (design.md §5)."""
    file_bytes_max: int

    def title(self, say: Say, workflow_id: str) -> str:
        """A workflow that left the catalogue keeps its id as its name."""
        workflow = self.catalogue.get(workflow_id)
        return say(workflow.title_key) if workflow is not None else escape(workflow_id)

    def zone(self, person: Person) -> ZoneInfo:
        return ZoneInfo(person.time_zone) if person.time_zone else self.shop_zone


MediaHook = Callable[[Media, "UnitOfWork"], Awaitable[None]]
"""Features: `media_available(media, uow, ...)`, `media_failed(media, uow, ...)`; extras bound."""

# main.py builds one Shop and wires these names of the bot side:
#   bot/dispatcher.py  build_dispatcher(shop, storage: BaseStorage) -> aiogram.Dispatcher
#                      Routers get `turn: Turn`, `reads: Reads` (and aiogram's `state`) by name.
#   bot/texts          load(catalogue_folder) -> FluentTexts (implements Texts)
#   bot/reads.py       wanted(update: Update) -> list[Request]
#   bot/notices.py     BotNotices(shop) -> Notices
#   bot/commands.py    await publish_commands(bot, texts): once, at start
#   bot/positions.py   PositionRefresher(...): one loop per replica
#   handlers/media_available.py   media_available(media, uow, *, shop)
#   handlers/media_failed.py      media_failed(media, uow, *, shop)
#   consumers.py       table(shop, sweeper) -> tuple[Subscription, ...]
