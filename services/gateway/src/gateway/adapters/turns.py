"""Works one update: one transaction with its inbox row, conversation, commands and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from aiogram import Bot, Dispatcher
from aiogram.types import Update
from pydantic import ValidationError

from chassis import logs, tracing
from chassis.clock import IdFactory
from chassis.outbox import Outbox, UnitOfWork
from contracts.envelope import Request
from contracts.ids import uuid7_time
from gateway.adapters.conversations import Conversations, Opened, RepeatedError
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.adapters.intake import Peek
from gateway.adapters.storage import bound
from gateway.ports import EDIT, SEND, TOAST, Answer, Notices, Reads, Turn

log = logs.get("gateway.turns")
LEFT = ("kicked", "left")

Wanted = Callable[[Update], Sequence[Request]]
Ask = Callable[[Sequence[Request]], Awaitable[Reads]]


class MalformedUpdateError(Exception):
    """The update is of a kind we handle, but not of a shape we know. It is parked."""


class Worked(msgspec.Struct, frozen=True):
    """What is to be said now that the update is committed."""

    answers: tuple[Answer, ...] = ()
    repeated: bool = False


class Turns:
    """Runs updates through the routers. Only the same update id is a repeat."""

    def __init__(
        self,
        outbox: Outbox,
        conversations: Conversations,
        deliveries: PostgresDeliveries,
        dispatcher: Dispatcher,
        bot: Bot,
        *,
        notices: Notices,
        wanted: Wanted,
        ask: Ask,
        pick_language: Callable[[str | None], str],
        new_id: IdFactory,
    ) -> None:
        self._outbox = outbox
        self._conversations = conversations
        self._deliveries = deliveries
        self._dispatcher = dispatcher
        self._bot = bot
        self._notices = notices
        self._wanted = wanted
        self._ask = ask
        self._pick_language = pick_language
        self._new_id = new_id

    async def work(self, peek: Peek, body: bytes, *, said: UUID | None = None) -> Worked:
        """Handle an update in a transaction of its own and return what to say.

        `said` has the time at which the update came: whatever it sets was said then (ADR 0018).
        """
        update = self._parse(peek, body)
        requests = self._wanted(update) if update is not None else ()
        reads = await self._ask(requests) if requests else Reads({})
        try:
            async with self._outbox.begin() as uow:
                uow.traceparent, uow.message_id = tracing.inject(), said
                worked, turn = await self._within(uow, peek, update, reads)
        except RepeatedError:
            return await self._repeat(peek)
        if turn is not None:
            turn.committed()
        return worked

    async def _repeat(self, peek: Peek) -> Worked:
        async with self._outbox.database.read() as connection:
            answers = await self._conversations.handled(connection, peek.update_id)
        return Worked(answers or (), repeated=True)

    def _parse(self, peek: Peek, body: bytes) -> Update | None:
        """None for a kind of update the bot does not know: acknowledged, nothing else."""
        if not (peek.message or peek.callback_query) or not peek.user_id:
            return None
        try:
            return Update.model_validate(msgspec.json.decode(body), context={"bot": self._bot})
        except ValidationError as error:
            fields = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
            raise MalformedUpdateError(", ".join(fields[:5])) from None

    async def _within(
        self, uow: UnitOfWork, peek: Peek, update: Update | None, reads: Reads
    ) -> tuple[Worked, Turn | None]:
        if not peek.user_id:
            await self._close(uow, peek, ())
            return Worked(), None
        opened = await self._conversations.open(
            uow,
            update_id=peek.update_id,
            user_id=peek.user_id,
            language=self._pick_language(_language_code(update)),
        )
        if opened.repeated is not None:
            return Worked(opened.repeated, repeated=True), None
        if update is None:
            await self._membership(uow, peek)
            await self._close(uow, peek, ())
            return Worked(), None
        if peek.chat_id != peek.user_id and not _is_payment(update):
            return Worked(await self._group(uow, peek, opened)), None
        turn = await self._dispatch(uow, peek, update, opened, reads)
        now, later = _split(turn.answers, tapped=bool(peek.callback_id))
        await self._close(uow, peek, now, opened)
        for each in later:
            await self._deliveries.postpone(
                uow, chat_id=turn.chat_id, answer=each, id=self._new_id()
            )
        return Worked(now), turn

    async def _dispatch(
        self, uow: UnitOfWork, peek: Peek, update: Update, opened: Opened, reads: Reads
    ) -> Turn:
        turn = Turn(uow=uow, person=opened.person, update_id=peek.update_id, chat_id=peek.chat_id)
        with bound(opened.conversation):
            await self._dispatcher.feed_update(self._bot, update, turn=turn, reads=reads)
        for each in turn.answers:
            if each.kind == EDIT and each.screen is None:
                await self._conversations.remember(uow, turn.chat_id, each.key, each.message_id)
        return turn

    async def _group(self, uow: UnitOfWork, peek: Peek, opened: Opened) -> tuple[Answer, ...]:
        """Groups are told once; a tap in a group only has its spinner ended."""
        answers: tuple[Answer, ...] = (Answer(kind=TOAST),) if peek.callback_id else ()
        if await self._conversations.tell_group_once(uow, peek.chat_id):
            screen = self._notices.groups_not_served(opened.person.language)
            answers = (*answers, Answer(kind=SEND, screen=screen))
        await self._close(uow, peek, answers)
        return answers

    async def _membership(self, uow: UnitOfWork, peek: Peek) -> None:
        """The person stopped the bot, or started it again."""
        member = peek.my_chat_member
        if member is None or member.new_chat_member is None or peek.chat_id != peek.user_id:
            return
        blocked = member.new_chat_member.status in LEFT
        await self._conversations.set_blocked(uow, peek.user_id, blocked=blocked)

    async def _close(
        self,
        uow: UnitOfWork,
        peek: Peek,
        answers: Sequence[Answer],
        opened: Opened | None = None,
    ) -> None:
        await self._conversations.close(
            uow,
            update_id=peek.update_id,
            user_id=peek.user_id,
            answers=answers,
            conversation=opened.conversation if opened is not None else None,
        )

    async def apologise(self, uow: UnitOfWork, peek: Peek) -> Worked:
        """Record a parked update as handled; its answer is that something went wrong."""
        if not peek.user_id:
            await self._close(uow, peek, ())
            return Worked()
        opened = await self._conversations.open(
            uow,
            update_id=peek.update_id,
            user_id=peek.user_id,
            language=self._pick_language(None),
        )
        if opened.repeated is not None:
            return Worked(opened.repeated, repeated=True)
        answers: tuple[Answer, ...] = (Answer(kind=TOAST),) if peek.callback_id else ()
        if peek.chat_id == peek.user_id:
            screen = self._notices.sorry(opened.person.language)
            answers = (*answers, Answer(kind=SEND, screen=screen))
        await self._close(uow, peek, answers)
        return Worked(answers)

    async def again(self, uow: UnitOfWork, peek: Peek, body: bytes) -> None:
        """An operator re-drives a parked update; its answers become delivery rows.

        Of its edits those of messages that nothing has edited since the update came.
        """
        update = self._parse(peek, body)
        requests = self._wanted(update) if update is not None else ()
        reads = await self._ask(requests) if requests else Reads({})
        await self._conversations.reopen(uow, peek.update_id)
        worked, _turn = await self._within(uow, peek, update, reads)
        answers = await self._conversations.still_true(
            uow.connection,
            worked.answers,
            update_id=peek.update_id,
            user_id=peek.user_id,
            chat_id=peek.chat_id,
            came_at=uuid7_time(uow.message_id) if uow.message_id else uow.now,
        )
        for each in answers:
            if each.kind in (SEND, EDIT) and each.screen is not None:
                await self._deliveries.postpone(
                    uow, chat_id=peek.chat_id, answer=each, id=self._new_id()
                )


def _is_payment(update: Update) -> bool:
    """Money counts wherever Telegram speaks of it."""
    return update.message is not None and update.message.successful_payment is not None


def _language_code(update: Update | None) -> str | None:
    event: Any = None
    if update is not None:
        event = update.message or update.callback_query
    sender = event.from_user if event is not None else None
    return sender.language_code if sender is not None else None


def _split(
    answers: Sequence[Answer], *, tapped: bool
) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """What is said at once, and what takes an upload: those become delivery rows.

    A tap nobody answered is answered silently, so that its spinner ends.
    """
    said = [each for each in answers if not (each.kind == EDIT and each.screen is None)]
    later = tuple(each for each in said if each.kind == SEND and each.screen and each.screen.media)
    now = [each for each in said if each not in later]
    if tapped and not any(each.kind == TOAST for each in now):
        now.insert(0, Answer(kind=TOAST))
    return tuple(now), later
