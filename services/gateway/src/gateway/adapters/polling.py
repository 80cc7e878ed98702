"""Fetches updates by long polling: one leader over all replicas, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.errors import TransientError
from chassis.key_value import KeyValue, Lease
from contracts import topology
from gateway.adapters.intake import ALLOWED_UPDATES, Intake
from gateway.adapters.telegram import BlockedError, ConflictError, RejectedError, Telegram

log = logs.get("gateway.polling")
BATCH_MAX = 100
MARGIN = timedelta(seconds=10)
"""Telegram may answer a long poll a little after its timeout."""
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 10.0
LEASE_RETRY_SECONDS = 1.0
STALLED_AFTER = timedelta(seconds=180)


class Polling:
    """The offset is raised only after the updates below it are stored: a crash loses none.

    Telegram keeps the offset; a repeated update has the id it had before, and is stored once.
    """

    def __init__(
        self,
        telegram: Telegram,
        intake: Intake,
        leases: KeyValue,
        background: Background,
        *,
        owner: str,
        timeout: timedelta,
        make_lease: Callable[..., Lease] = Lease,
    ) -> None:
        self._telegram = telegram
        self._intake = intake
        self._background = background
        self._timeout = timeout
        self._asked_at = 0.0
        """When the loop last asked for updates: sends go on although it has stopped."""
        self._lease = make_lease(
            leases,
            f"gateway.poller.{telegram.bot_id}",
            owner,
            ttl=topology.LEASE_TTL,
            renew_every=topology.LEASE_RENEW_EVERY,
        )

    async def stalled(self) -> str | None:
        """Say so when this leader made no attempt for long: only a restart would mend that."""
        silence = asyncio.get_running_loop().time() - self._asked_at
        if self._lease.held and silence > STALLED_AFTER.total_seconds():
            return f"no call for updates in {silence:.0f} s"
        return None

    async def run(self) -> None:
        """Lead when the lease is free, wait for it else; until the process stops."""
        stopping = self._background.stopping
        while not stopping.is_set():
            if not await self._lease.acquire():
                await self._background.pause(LEASE_RETRY_SECONDS)
                continue
            self._asked_at = asyncio.get_running_loop().time()
            log.info("polling_begins")
            try:
                await self._lead()
            finally:
                await self._lease.release()
                log.info("polling_ends")

    async def _lead(self) -> None:
        """Poll until the lease is lost or the process stops."""
        ended = self._background.spawn(self._until_over(), name="polling-end")
        polling = self._background.spawn(self._poll(), name="polling-loop")
        try:
            await asyncio.wait({ended, polling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            polling.cancel()
            await asyncio.wait({ended, polling})

    async def _until_over(self) -> None:
        lost = self._background.spawn(self._lease.lost.wait(), name="polling-lease")
        stop = self._background.spawn(self._background.stopping.wait(), name="polling-stop")
        try:
            await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            stop.cancel()

    async def _poll(self) -> None:
        offset = 0
        wait = BACKOFF_FIRST_SECONDS
        webhook_removed = False
        while True:
            try:
                offset = await self._once(offset)
                wait = BACKOFF_FIRST_SECONDS
            except ConflictError:
                # A webhook set by an earlier mode, or the former leader's last poll.
                log.warning("polling_conflict")
                if not webhook_removed:
                    webhook_removed = await self._remove_webhook()
                await asyncio.sleep(wait)
            except TransientError as error:
                log.warning("polling_postponed", reason=type(error).__name__, wait_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, BACKOFF_MAX_SECONDS)
            except (BlockedError, RejectedError) as error:
                log.exception("polling_refused", reason=str(error))
                await asyncio.sleep(BACKOFF_MAX_SECONDS)

    async def _once(self, offset: int) -> int:
        """Fetch, store, and return the next offset: asking with it confirms what is below."""
        self._asked_at = asyncio.get_running_loop().time()
        updates = await self._telegram.call(
            "getUpdates",
            {
                "offset": offset,
                "limit": BATCH_MAX,
                "timeout": int(self._timeout.total_seconds()),
                "allowed_updates": ALLOWED_UPDATES,
            },
            timeout=self._timeout + MARGIN,
        )
        if not updates:
            return offset
        bodies = [msgspec.json.encode(update) for update in updates]
        stored = await self._intake.store(bodies, way="polling")
        if stored:
            offset = updates[stored - 1]["update_id"] + 1
        if stored < len(updates):
            log.warning("updates_not_stored", count=len(updates) - stored)
            await asyncio.sleep(BACKOFF_FIRST_SECONDS)
        return offset

    async def _remove_webhook(self) -> bool:
        try:
            await self._telegram.call("deleteWebhook", {"drop_pending_updates": False})
        except (TransientError, RejectedError) as error:
            log.warning("webhook_not_removed", reason=type(error).__name__)
            return False
        return True
