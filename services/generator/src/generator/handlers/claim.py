"""The right to run one order: its record as this pod last saw it, changed only by CAS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from chassis import logs
from chassis.errors import TransientError
from contracts.ids import OrderId
from generator.domain.claims import JobRecord
from generator.domain.errors import ClaimLostError
from generator.ports import Claims, RevisionConflictError, StoredRecord

log = logs.get("generator.claim")
RETRY_SECONDS = 0.2


class Claim:
    """A record this server owns at an epoch, until somebody with a higher epoch takes it."""

    def __init__(self, claims: Claims, order_id: OrderId, stored: StoredRecord) -> None:
        self.order_id = order_id
        self.record = stored.record
        self.lost = False
        self._claims = claims
        self._revision = stored.revision
        self._server = stored.record.server
        self._epoch = stored.record.epoch
        self._turn = asyncio.Lock()

    @property
    def epoch(self) -> int:
        return self._epoch

    async def change(
        self, step: Callable[[JobRecord], JobRecord], *, ttl: timedelta | None = None
    ) -> None:
        """Write what `step` makes of the record. Raises ClaimLostError when it is not ours.

        `step` may be applied to a record it was already applied to: a PubAck can get lost.
        """
        async with self._turn:
            while True:
                self._check()
                changed = step(self.record)
                try:
                    revision = await self._claims.write(
                        self.order_id, changed, self._revision, ttl=ttl
                    )
                except RevisionConflictError:
                    await self._read()
                except TransientError as error:
                    log.warning("claim_write_waits", error=type(error).__name__)
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self.record, self._revision = changed, revision
                    return

    async def refresh(self) -> None:
        """Read what somebody else may have written: a cancel, or a new owner."""
        async with self._turn:
            if not self.lost:
                await self._read()

    def _check(self) -> None:
        if self.lost or not self.record.owned_by(self._server, self._epoch):
            raise ClaimLostError(str(self.order_id))

    async def _read(self) -> None:
        while True:
            try:
                stored = await self._claims.read(self.order_id)
                break
            except TransientError as error:
                log.warning("claim_read_waits", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
        if stored is None or not stored.record.owned_by(self._server, self._epoch):
            self.lost = True
        else:
            self.record, self._revision = stored.record, stored.revision
