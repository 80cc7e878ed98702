"""make_gift: set paid credits aside for whoever opens the link first."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from billing.domain import gifts
from billing.domain.errors import (
    NoAccountError,
    OrderRefusedError,
    SameIdOtherBodyError,
)
from billing.domain.ledger import Ledger
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.ports import Books
from billing.ports.rewards import Rewards
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.rewards import GiftMade, GiftRefused, MakeGift

log = logs.get("billing.gifts")
Secret = Callable[[int], bytes]


async def make_gifts(
    received: Sequence[Received[MakeGift]],
    uow: UnitOfWork,
    *,
    books: Books,
    rewards: Rewards,
    terms: Terms,
    secret: Secret = secrets.token_bytes,
) -> None:
    """One after another: each sees what the ones before it left."""
    accounts = await books.accounts.load(
        uow.connection, [each.message.user_id for each in received]
    )
    ledger = Ledger(uow.now)
    for each in received:
        command = each.message
        known = await rewards.gifts.find(uow.connection, command.gift_id)
        if known is not None:
            # The same gift again says nothing new: its code was told when it was made.
            if (known.giver_id, known.credits) != (command.user_id, command.credits):
                announce.rejected(uow, each, SameIdOtherBodyError())
            continue
        account = accounts.get(command.user_id)
        try:
            if account is None:
                raise NoAccountError
            code = gifts.code_of(secret(gifts.SECRET_BYTES))
            gift = gifts.make(
                ledger, account, command.gift_id, command.credits, code, terms.rewards.gift
            )
        except RefusalError as error:
            refused(uow, each, error, command.gift_id)
            continue
        await rewards.gifts.add(uow.connection, gift)
        event = GiftMade(
            gift_id=gift.gift_id,
            user_id=gift.giver_id,
            credits=gift.credits,
            code=gift.code,
            expires_at=gift.expires_at,
            available_credits=account.available,
        )
        uow.emit(event, traceparent=each.traceparent)
        log.info("gift_made", gift_id=str(gift.gift_id), credits=gift.credits)
    await books.accounts.save(uow.connection, ledger)


def refused(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, gift_id: UUID | None
) -> None:
    """Tell why a gift was neither made nor opened; nothing moved."""
    figures = error.available_credits if isinstance(error, OrderRefusedError) else None
    event = GiftRefused(
        user_id=each.message.user_id,
        reason=error.code,
        available_credits=figures,
        gift_id=gift_id,
    )
    uow.emit(event, traceparent=each.traceparent)
    log.info("gift_refused", code=error.code)
