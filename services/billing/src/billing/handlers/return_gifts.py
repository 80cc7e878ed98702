"""Gifts that return to the lots they came from: nobody opened them in time, or their money goes."""

from __future__ import annotations

from billing.domain import gifts
from billing.domain.charges import Charge
from billing.domain.ledger import Ledger
from billing.domain.terms import Terms
from billing.ports import Books
from billing.ports.rewards import Gifts, Rewards
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.rewards import GiftReturned

log = logs.get("billing.gifts")


async def return_gifts(uow: UnitOfWork, *, books: Books, rewards: Rewards, terms: Terms) -> int:
    """Return expired gifts, at most `rows_max`; return how many were found."""
    connection = uow.connection
    found = await rewards.gifts.expired(connection, uow.now, terms.rows_max)
    if not found:
        return 0
    givers = sorted({giver for _, giver in found})
    # Accounts before gifts, as everywhere; what was read before the locks is read again.
    await books.accounts.lock(connection, givers)
    waiting = await rewards.gifts.lock_codes(connection, [code for code, _ in found])
    numbers = {number for gift in waiting.values() for number, _ in gift.parts}
    accounts = await books.accounts.load(connection, givers, list(numbers))
    ledger = Ledger(uow.now)
    returned = []
    for gift in waiting.values():
        if gifts.take_back(ledger, accounts[gift.giver_id], gift):
            returned.append(gift)
            event = GiftReturned(gift_id=gift.gift_id, user_id=gift.giver_id, credits=gift.credits)
            uow.emit(event)
            log.info("gift_returned", gift_id=str(gift.gift_id))
    await rewards.gifts.settle(connection, returned)
    await books.accounts.save(connection, ledger)
    return len(found)


async def refund_begins(uow: UnitOfWork, charge: Charge, *, books: Books, store: Gifts) -> None:
    """Gifts of the credits a refund is about to take return first, or a link would keep them.

    The giver's account is locked; gifts are locked after accounts, as everywhere.
    """
    bought = {charge.lot, charge.bonus_lot}
    connection = uow.connection
    waiting = await store.lock_waiting(connection, charge.user_id)
    made = [gift for gift in waiting if any(number in bought for number, _ in gift.parts)]
    if not made:
        return
    numbers = {number for gift in made for number, _ in gift.parts}
    accounts = await books.accounts.load(connection, [charge.user_id], list(numbers))
    ledger = Ledger(uow.now)
    for gift in made:
        gifts.withdraw(ledger, accounts[charge.user_id], gift)
        event = GiftReturned(
            gift_id=gift.gift_id, user_id=gift.giver_id, credits=gift.credits, withdrawn=True
        )
        uow.emit(event)
        log.info("gift_withdrawn", gift_id=str(gift.gift_id))
    await store.settle(connection, made)
    await books.accounts.save(connection, ledger)
