"""open_gift: whoever opens it first gets it.

The consumer has locked the openers' accounts, ascending; the gifts are locked after them,
ascending by code. A giver's account is neither read nor changed, for the credits left it when the
gift was made, so it needs no lock, and two people who open each other's gifts never wait in a
circle. (A batch may hold a promo code's row as well; should two batches take such rows crosswise,
Postgres ends one of them and the consumer repeats it message by message, one row lock each.)
"""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain import gifts
from billing.domain.errors import NoAccountError
from billing.domain.ledger import Ledger
from billing.handlers.make_gift import refused
from billing.ports import Books
from billing.ports.rewards import Rewards
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.rewards import GiftOpened, OpenGift

log = logs.get("billing.gifts")


async def open_gifts(
    received: Sequence[Received[OpenGift]], uow: UnitOfWork, *, books: Books, rewards: Rewards
) -> None:
    connection = uow.connection
    accounts = await books.accounts.load(connection, [each.message.user_id for each in received])
    codes = {gifts.normal(each.message.code) for each in received} - {""}
    found = await rewards.gifts.lock_codes(connection, list(codes))
    ledger = Ledger(uow.now)
    opened = []
    for each in received:
        account = accounts.get(each.message.user_id)
        tried = found.get(gifts.normal(each.message.code))
        try:
            if account is None:
                raise NoAccountError
            gift = gifts.open_(ledger, account, tried)
        except RefusalError as error:
            refused(uow, each, error, tried.gift_id if tried is not None else None)
            continue
        opened.append(gift)
        event = GiftOpened(
            gift_id=gift.gift_id,
            user_id=account.user_id,
            giver_id=gift.giver_id,
            credits=gift.credits,
            available_credits=account.available,
        )
        uow.emit(event, traceparent=each.traceparent)
        log.info("gift_opened", gift_id=str(gift.gift_id))
    await rewards.gifts.settle(connection, opened)
    await books.accounts.save(connection, ledger)
