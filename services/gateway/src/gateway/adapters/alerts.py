"""Tells the operators' chat what they should know, as delivery rows."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from gateway.ports import MEDIA_UNREACHABLE, Deliveries, Media, MediaHook, Notices


class MediaAlerts:
    """Adds a notice to the end of a file that could not be fetched after every retry."""

    def __init__(
        self,
        deliveries: Deliveries,
        notices: Notices,
        failed: MediaHook,
        *,
        admin_chat_id: int,
        language: str,
    ) -> None:
        self._deliveries = deliveries
        self._notices = notices
        self._failed = failed
        self._admin_chat_id = admin_chat_id
        self._language = language

    async def failed(self, media: Media, uow: UnitOfWork) -> None:
        await self._failed(media, uow)
        if media.error == MEDIA_UNREACHABLE and self._admin_chat_id:
            await self._deliveries.queue(
                uow,
                user_id=UserId(self._admin_chat_id),
                screen=self._notices.download_failed(self._language, media.error, media.user_id),
            )
