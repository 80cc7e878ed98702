"""Says things in a chat: in order, within the budget, and with every failure given a name."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from chassis import logs, metrics
from chassis.errors import TransientError
from chassis.objects import ObjectDamagedError, Objects
from contracts.ids import UserId
from contracts.media import MediaRef
from gateway.adapters import payloads
from gateway.adapters.budget import Budget
from gateway.adapters.chats import Chats, Remembered
from gateway.adapters.edits import Edits
from gateway.adapters.telegram import (
    BlockedError,
    GoneError,
    NotTextError,
    RejectedError,
    StaleFileError,
    Telegram,
    ThrottledError,
    UnchangedError,
)
from gateway.ports import DELETE, EDIT, SEND, TOAST, Answer, Screen

log = logs.get("gateway.sender")
PROGRESS_WAIT_MAX = timedelta(milliseconds=500)
rejected_count = metrics.counter("gateway.sends.rejected", description="answers Telegram refused")


class Sent(msgspec.Struct, frozen=True):
    message_id: int
    file_id: str = ""


class Sender:
    """Everything the bot says passes here. A chat is served by one replica, so by one Sender."""

    def __init__(
        self,
        telegram: Telegram,
        budget: Budget,
        chats: Chats,
        edits: Edits,
        objects: Objects,
        *,
        upload_timeout: timedelta,
    ) -> None:
        self._telegram = telegram
        self._budget = budget
        self.chats = chats
        self.edits = edits
        self._objects = objects
        self._upload_timeout = upload_timeout

    async def answer(
        self,
        chat_id: int,
        answers: Sequence[Answer],
        *,
        callback_id: str,
        wait_max: timedelta,
        repeated: bool,
    ) -> Sequence[Answer]:
        """Carry out an update's answers; return those that could not be sent in time."""
        async with self.chats.line(chat_id):
            for index, each in enumerate(answers):
                try:
                    await self._one(
                        chat_id, each, callback_id, wait_max=wait_max, repeated=repeated
                    )
                except TransientError as error:
                    log.info("answer_postponed", kind=each.kind, reason=type(error).__name__)
                    return [left for left in answers[index:] if left.kind in (SEND, EDIT, DELETE)]
                except BlockedError:
                    await self.chats.blocked(UserId(chat_id))
                    return []
                except RejectedError as error:
                    # Ours to mend: the person still gets the rest of the answer.
                    rejected_count.add(1, {"kind": each.kind})
                    log.exception("answer_rejected", kind=each.kind, reason=error.description)
        return []

    async def _one(
        self,
        chat_id: int,
        answer: Answer,
        callback_id: str,
        *,
        wait_max: timedelta,
        repeated: bool,
    ) -> None:
        if answer.kind == TOAST:
            await self._toast(callback_id, answer)
        elif answer.kind == DELETE:
            await self.delete(chat_id, answer.message_id)
        elif answer.screen is None:
            return  # a name for a message: recorded with the update
        elif answer.kind == EDIT and answer.message_id:
            await self.edit(chat_id, answer.message_id, answer.screen, wait_max=wait_max)
        elif answer.kind == EDIT:
            await self.edit_keyed(
                chat_id, answer.key, answer.screen, final=answer.final, wait_max=wait_max
            )
        elif not (repeated and answer.key and await self.chats.find(chat_id, answer.key)):
            await self.send(chat_id, answer.screen, key=answer.key, wait_max=wait_max)

    async def _toast(self, callback_id: str, answer: Answer) -> None:
        if not callback_id:
            return
        body: dict[str, Any] = {"callback_query_id": callback_id}
        if answer.text:
            body |= {"text": answer.text, "show_alert": answer.alert}
        try:
            await self._call("answerCallbackQuery", body)
        except RejectedError as error:
            # "query is too old": the spinner ended by itself.
            log.info("toast_too_late", reason=error.description)
        except TransientError as error:
            if isinstance(error, ThrottledError):
                raise
            log.info("toast_lost", reason=type(error).__name__)

    async def send(
        self, chat_id: int, screen: Screen, *, key: str = "", wait_max: timedelta
    ) -> Sent:
        """Send a new message and remember it under `key`."""
        screen = await self._linked(screen)
        await self._budget.acquire(chat_id, wait_max=wait_max)
        if screen.invoice is not None:
            result = await self._call("sendInvoice", payloads.invoice(chat_id, screen.invoice))
            sent = Sent(result["message_id"])
        elif screen.media is None:
            result = await self._call("sendMessage", payloads.message(chat_id, screen))
            sent = Sent(result["message_id"])
        else:
            sent = await self._send_media(chat_id, screen, screen.media)
        if key:
            await self.chats.remember(
                chat_id, key, sent.message_id, has_media=screen.media is not None, final=False
            )
        return sent

    async def _linked(self, screen: Screen) -> Screen:
        """A subscription is opened by a link only; making another one costs nobody anything."""
        asked = screen.invoice
        if asked is None or not asked.subscription_seconds:
            return screen
        url = await self._call("createInvoiceLink", payloads.invoice_link(asked))
        return payloads.with_link(screen, asked, url)

    async def _send_media(self, chat_id: int, screen: Screen, media: MediaRef) -> Sent:
        """By file_id where Telegram has the file already; it may have forgotten it."""
        shown = payloads.shown_as(screen)
        method = payloads.METHODS[shown]
        known = await self.chats.file_id(media.object_key, shown)
        if known:
            try:
                result = await self._call(
                    method, payloads.media_message(chat_id, screen, file=known)
                )
                return Sent(result["message_id"], known)
            except StaleFileError:
                await self.chats.forget_file(media.object_key, shown)
        with tempfile.TemporaryDirectory(prefix="vitrine-send-") as folder:
            path = Path(folder) / "file"
            stored = await self._objects.download(media.object_key, path)
            if stored.sha256 != media.sha256:
                raise ObjectDamagedError(media.object_key)
            result = await self._call(
                method,
                payloads.media_message(chat_id, screen),
                upload=(shown, media.name, path),
                timeout=self._upload_timeout,
            )
        file_id = payloads.file_id_of(result)
        if file_id:
            await self.chats.remember_file(media.object_key, shown, file_id)
        return Sent(result["message_id"], file_id)

    async def edit(
        self,
        chat_id: int,
        message_id: int,
        screen: Screen,
        *,
        wait_max: timedelta,
        caption: bool = False,
    ) -> None:
        """Replace a message's text at once; an edit still waiting is dropped."""
        self.edits.cancel(chat_id, message_id)
        screen = await self._linked(screen)
        await self._budget.acquire(chat_id, wait_max=wait_max, message=False)
        try:
            await self._edit(chat_id, message_id, screen, caption=caption)
        except UnchangedError:
            return

    async def _edit(self, chat_id: int, message_id: int, screen: Screen, *, caption: bool) -> None:
        body = payloads.edit(chat_id, message_id, screen, caption=caption)
        try:
            await self._call("editMessageCaption" if caption else "editMessageText", body)
        except NotTextError:
            body = payloads.edit(chat_id, message_id, screen, caption=True)
            await self._call("editMessageCaption", body)

    async def edit_quietly(self, chat_id: int, message_id: int, screen: Screen) -> None:
        """Show progress if there is room for it; progress that is lost is lost."""
        async with self.chats.line(chat_id):
            if not self.edits.may_change(chat_id, message_id):
                return
            try:
                await self._budget.acquire(chat_id, wait_max=PROGRESS_WAIT_MAX, message=False)
                await self._edit(chat_id, message_id, screen, caption=False)
            except (TransientError, BlockedError, RejectedError) as error:
                log.debug("progress_not_shown", reason=type(error).__name__)

    async def edit_keyed(
        self, chat_id: int, key: str, screen: Screen, *, final: bool, wait_max: timedelta
    ) -> Sent:
        """Edit the message remembered under `key`; send it where there is none any more."""
        known = await self.chats.find(chat_id, key)
        if known is not None:
            if known.final and not final:
                return Sent(known.message_id)  # too late: the last word was said
            if final:
                self.edits.finish(chat_id, known.message_id)
            try:
                await self._edit_known(chat_id, known, screen, wait_max)
                if final and not known.final:
                    await self.chats.remember(
                        chat_id, key, known.message_id, has_media=known.has_media, final=True
                    )
                return Sent(known.message_id)
            except GoneError:
                log.info("message_gone")
        sent = await self.send(chat_id, screen, key=key, wait_max=wait_max)
        if final:
            await self.chats.remember(
                chat_id, key, sent.message_id, has_media=screen.media is not None, final=True
            )
        return sent

    async def _edit_known(
        self, chat_id: int, known: Remembered, screen: Screen, wait_max: timedelta
    ) -> None:
        await self.edit(
            chat_id, known.message_id, screen, wait_max=wait_max, caption=known.has_media
        )

    async def delete(self, chat_id: int, message_id: int) -> None:
        self.edits.finish(chat_id, message_id)
        try:
            await self._call("deleteMessage", {"chat_id": chat_id, "message_id": message_id})
        except GoneError:
            log.info("message_gone")

    async def _call(self, method: str, body: dict[str, Any], **options: Any) -> Any:
        try:
            return await self._telegram.call(method, body, **options)
        except ThrottledError as error:
            if error.retry_after is not None:
                await self._budget.silence(error.retry_after)
            raise
