"""A lease: one holder at a time, who knows that it is over before anybody else can take it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from chassis import logs
from chassis.errors import TransientError
from contracts.topology import LEASE_RENEW_EVERY, LEASE_TTL

if TYPE_CHECKING:
    from chassis.key_value import KeyValue

log = logs.get("chassis.leases")
SAFETY = 0.9
"""The holder counts this part of the time the server counts: clocks and timers are not exact."""


class Lease:
    """A key of a bucket whose entries expire after `ttl` (by `max_age`, or per message).

    The time left is judged by the monotonic clock from before a renewal is sent; the server
    starts counting when it stores it, so it always forgets later than we do.
    """

    def __init__(
        self,
        key_value: KeyValue,
        key: str,
        owner: str,
        *,
        ttl: timedelta = LEASE_TTL,
        renew_every: timedelta = LEASE_RENEW_EVERY,
        per_message_ttl: bool = False,
    ) -> None:
        self._key_value = key_value
        self._key = key
        # Two processes with one name must not take each other's lease for their own.
        self._value = f"{owner}#{uuid4().hex}".encode()
        self._ttl = ttl
        self._renew_every = renew_every.total_seconds()
        self._message_ttl = ttl if per_message_ttl else None
        self._revision = 0
        self._until = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._released = asyncio.Event()
        self.lost = asyncio.Event()
        """Set when the lease ended otherwise than by `release`; cleared by `acquire`."""

    @property
    def held(self) -> bool:
        """Whether it is ours at this instant, even if the event loop was blocked a while."""
        return asyncio.get_running_loop().time() < self._until

    async def __aenter__(self) -> Self:
        await self.acquire(wait=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def acquire(self, *, wait: bool = False) -> bool:
        """Take the lease and keep it. With `wait`, try again until it is free."""
        from chassis.key_value import KeyExistsError

        assert not self.held, "the lease is held already"
        while True:
            await self._end_renewing()
            before = asyncio.get_running_loop().time()
            try:
                self._revision = await self._key_value.create(
                    self._key, self._value, ttl=self._message_ttl
                )
            except KeyExistsError:
                # Ours, if the answer to an earlier attempt was lost: then it is waited out.
                log.debug("lease_taken", key=self._key)
            except TransientError as error:
                log.warning("lease_postponed", key=self._key, reason=str(error))
            else:
                self.lost.clear()
                self._extend(before)
                if self.held:
                    self._renewing = asyncio.get_running_loop().create_task(self._renew())
                    return True
            if not wait:
                return False
            await asyncio.sleep(self._renew_every / 2)

    async def release(self) -> None:
        """Give it back at once, so that the next one need not wait for the expiry."""
        from chassis.key_value import WrongRevisionError

        held = self.held
        self._until = 0.0
        if self._expiry is not None:
            self._expiry.cancel()
        await self._end_renewing()
        if not held:
            return
        try:
            await self._key_value.delete(self._key, self._revision, ttl=self._message_ttl)
        except (WrongRevisionError, TransientError) as error:
            log.info("lease_left_to_expire", key=self._key, reason=type(error).__name__)

    async def owner(self) -> str | None:
        """Return the name of whoever holds it now."""
        entry = await self._key_value.get(self._key)
        return None if entry is None else entry.value.decode().rpartition("#")[0]

    def _extend(self, before: float) -> None:
        self._until = before + self._ttl.total_seconds() * SAFETY
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_at(self._until, self._lose, "not renewed")

    def _lose(self, reason: str) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._until = 0.0
        if not self.lost.is_set():
            log.warning("lease_lost", key=self._key, reason=reason)
            self.lost.set()

    async def _renew(self) -> None:
        from chassis.key_value import WrongRevisionError

        loop = asyncio.get_running_loop()
        while await self._pause() and self.held:
            before = loop.time()
            try:
                # Longer than what is left it must not take: by then the lease is over here.
                async with asyncio.timeout_at(self._until):
                    self._revision = await self._key_value.update(
                        self._key, self._value, self._revision, ttl=self._message_ttl
                    )
            except WrongRevisionError:
                if not await self._adopt():
                    self._lose("taken by another")
            except (TransientError, TimeoutError) as error:
                log.warning("lease_not_renewed", key=self._key, reason=type(error).__name__)
            except Exception:
                # Whatever it is, the clock runs on: without a renewal the lease ends in time.
                log.exception("lease_renewal_failed", key=self._key)
            else:
                if self.held:
                    self._extend(before)

    async def _adopt(self) -> bool:
        """A write of ours whose answer was lost: the entry is ours, only the revision is new."""
        try:
            entry = await self._key_value.get(self._key)
        except TransientError:
            return False
        if entry is None or entry.value != self._value:
            return False
        self._revision = entry.revision
        return True

    async def _pause(self) -> bool:
        """Wait for the next renewal. False: the lease was given back meanwhile."""
        try:
            async with asyncio.timeout(self._renew_every):
                await self._released.wait()
        except TimeoutError:
            return True
        return False

    async def _end_renewing(self) -> None:
        task, self._renewing = self._renewing, None
        if task is None:
            return
        self._released.set()
        await asyncio.wait([task])
        self._released.clear()
