"""Operators' requests about parked messages: list, show, re-drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from chassis import inbox, logs, parked, signatures
from chassis.consumers import ExactlyOnce
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from contracts import topology
from contracts.envelope import HEADER_ID

if TYPE_CHECKING:
    from chassis.service import Service

log = logs.get("chassis.redrive")


class StillRefusedError(Exception):
    """Nobody vouches for this message yet: an operator's word is no signature."""


class Redrive:
    """Runs fresh rows through the consumer that knows their subject."""

    def __init__(self, service: str, outbox: Outbox, consumers: Sequence[ExactlyOnce]) -> None:
        self._service = service
        self._outbox = outbox
        self._consumers = consumers

    def answer(self, service: Service) -> None:
        """Serve `<svc>.rpc.parked_list`, `_show` and `_redrive`."""
        for request, handler in (
            (parked.ListParked, self.listed),
            (parked.ShowParked, self.shown),
            (parked.RedriveParked, self.redrive),
        ):
            subject = request.subject.format(service=self._service)
            service.answer(subject, request, handler)  # type: ignore[arg-type]

    async def listed(self, request: parked.ListParked) -> parked.ParkedList:
        async with self._outbox.database.read() as connection:
            return await parked.listed(connection, state=request.state, limit=request.limit)

    async def shown(self, request: parked.ShowParked) -> parked.ParkedList:
        async with self._outbox.database.read() as connection:
            return await parked.shown(connection, request.id)

    async def redrive(self, request: parked.RedriveParked) -> parked.Redriven:
        async with self._outbox.begin() as uow:
            changed = await parked.refresh(uow, request.id, actor=request.actor)
        if changed:
            await self.run_left_over()
        return parked.Redriven(changed=changed)

    async def run_left_over(self) -> None:
        """Handle every fresh row; also those a crash or an outage left behind."""
        more = True
        while more:
            more = await self._run_one()

    async def _run_one(self) -> bool:
        async with self._outbox.begin() as uow:
            begun = await parked.begin_fresh(uow)
        if begun is None:
            return False
        parked_id, starts = begun
        if starts > topology.STARTS_MAX:
            await self._give_up(parked_id, "started too often without an end")
            return True
        try:
            async with self._outbox.begin() as uow:
                row = await parked.take_fresh(uow, parked_id)
                if row is not None and await self._may_run(uow, row):
                    await self._consumer_of(row.subject).redrive(uow, row)
        except (TransientError, *RETRYABLE):
            raise  # it stays fresh, for the next run
        except Exception as error:
            log.exception("redrive_failed", id=str(parked_id))
            await self._give_up(parked_id, f"re-drive failed: {type(error).__name__}")
        return True

    async def _may_run(self, uow: UnitOfWork, row: parked.ParkedRow) -> bool:
        """Whether to handle a row; one whose signature was refused has to be judged again.

        It was parked without an inbox row of its id, which may have been handled meanwhile.
        Raises StillRefusedError.
        """
        if row.reason not in signatures.REASONS:
            return True
        guard = signatures.decided(self._outbox.broker.signatures)
        if (refusal := guard.judge(row.subject, row.headers, row.body).refusal) is not None:
            raise StillRefusedError(refusal.reason)
        try:
            message_id = UUID(row.headers.get(HEADER_ID, ""))
        except ValueError:
            return True  # of an update, whose id is Telegram's
        return bool(await inbox.record(uow.connection, [message_id]))

    async def _give_up(self, parked_id: UUID, reason: str) -> None:
        async with self._outbox.begin() as uow:
            await parked.give_up(uow, parked_id, reason)

    def _consumer_of(self, subject: str) -> ExactlyOnce:
        for consumer in self._consumers:
            if consumer.accepts(subject):
                return consumer
        raise LookupError(f"no consumer accepts {subject}")
