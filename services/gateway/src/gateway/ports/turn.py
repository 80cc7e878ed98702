"""One update's work: who sent it, what was read for it, and the answers it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from contracts.envelope import Command, Reply
from contracts.ids import UserId, derived_id
from gateway.domain.screen import Screen

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork

R = TypeVar("R", bound=Reply)

# Kinds of answers and deliveries.
SEND = "send"
EDIT = "edit"
TOAST = "toast"
DELETE = "delete"
RESULT = "result"


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

    user_id: UserId
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

    async def choose(self, what: str, command: Command) -> bool:
        """Emit a command that sets `what`; False, and nothing: a newer update chose otherwise.

        Its id is of the moment the update came: worked late, an old choice is an old word for
        whoever it is sent to, too (ADR 0018).
        """
        if not await self.uow.is_last_word(what):
            return False
        self.emit_as_said(command, what)
        return True

    def emit_as_said(self, command: Command, what: str) -> None:
        """Emit under an id of the moment the update came: whoever takes it orders it by that."""
        said = self.uow.message_id
        self.uow.emit(command, id=derived_id(said, what) if said is not None else None)

    def delete(self, message_id: int) -> None:
        self.answers.append(Answer(kind=DELETE, message_id=message_id))

    def after_commit(self, wake: Callable[[], None]) -> None:
        """Call `wake` once the update is committed: a wake-up lost in a crash is swept."""
        self._sleepers.append(wake)

    def committed(self) -> None:
        for wake in self._sleepers:
            wake()
