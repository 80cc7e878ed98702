"""Lot expiry: what was not spent in time is written off, so that balances say what is there.

Nothing waits for it: a hold, a void and a read each judge a lot by the time.
"""

from __future__ import annotations

from billing.domain.ledger import Ledger
from billing.domain.terms import Terms
from billing.ports import Books
from chassis.outbox import UnitOfWork


async def expire_lots(uow: UnitOfWork, *, books: Books, terms: Terms) -> int:
    """Close lots that expired a while ago, at most `rows_max`; return how many were found."""
    # A trial is renewed in place; written off at once, it would fill the history with two lines.
    before = uow.now - terms.expired_lots_kept
    found = await books.accounts.expired_lots(uow.connection, before, terms.rows_max)
    if not found:
        return 0
    users = sorted({user_id for user_id, _ in found})
    await books.accounts.lock(uow.connection, users)
    numbers = {number for _, number in found}
    accounts = await books.accounts.load(uow.connection, users, list(numbers))
    ledger = Ledger(uow.now)
    for account in accounts.values():
        ledger.expire_lots(account)
    await books.accounts.save(uow.connection, ledger)
    return len(found)
