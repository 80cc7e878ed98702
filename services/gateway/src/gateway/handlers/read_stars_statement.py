"""read_stars_statement: what Telegram booked since the last read, page by page.

Telegram lists its lines oldest first, so their number is the cursor. A line may slip in before
others of the same second (a refund right beside a sale), so each read begins a little earlier:
billing takes a line it knows for what it is.
"""

from __future__ import annotations

import msgspec

from chassis.effects import Effect, EffectKind, EffectResult
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts.gateway import ReadStarsStatement, StarsStatementRead
from gateway.handlers.stars_calls import LASTS_MAX
from gateway.ports import Shop, Stars, StatementPage

EFFECT = "read_stars_statement"
OVERLAP_LINES = 20
ATTEMPTS_MAX = 5
"""The next tick reads on from the same line."""


class _From(msgspec.Struct):
    """Where a read begins, and up to where lines were known."""

    offset: int
    known: int


async def read_stars_statement(command: ReadStarsStatement, uow: UnitOfWork, *, shop: Shop) -> None:
    known = await shop.statement.find(uow)
    begin = _From(max(known - OVERLAP_LINES, 0), known)
    key = f"{EFFECT}:{command.due_at.isoformat()}"
    uow.effect(EFFECT, key, msgspec.msgpack.encode(begin))


def effect(stars: Stars, shop: Shop) -> EffectKind:
    """One page; a full one asks for the next."""

    async def call(effect: Effect) -> EffectResult:
        begin = msgspec.msgpack.decode(effect.body, type=_From)
        try:
            page = await stars.statement(begin.offset)
        except TransientError as error:
            return EffectResult.retry(type(error).__name__, error.retry_after)

        async def record(uow: UnitOfWork) -> None:
            await _record(effect.key, begin, page, uow, shop)

        return EffectResult.done(record)

    return EffectKind(name=EFFECT, call=call, attempts_max=ATTEMPTS_MAX, lease=LASTS_MAX)


async def _record(key: str, begin: _From, page: StatementPage, uow: UnitOfWork, shop: Shop) -> None:
    end = begin.offset + page.count
    if end > begin.known and page.transactions:
        uow.emit(StarsStatementRead(transactions=page.transactions, read_at=uow.now))
    await shop.statement.advance(uow, to=end)
    if not page.last:
        onward = msgspec.msgpack.encode(_From(end, max(end, begin.known)))
        uow.effect(EFFECT, f"{key}:{end}", onward)
