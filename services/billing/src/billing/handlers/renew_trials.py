"""renew_trials: a tick says that trials may be due; each account's own row decides."""

from __future__ import annotations

from billing.domain.accounts import Hold
from billing.domain.ledger import Ledger
from billing.domain.terms import Terms
from billing.ports import Books
from chassis.outbox import UnitOfWork
from contracts.billing import RenewTrials, TrialRenewed
from contracts.ids import UserId

PAGES_MAX = 4
"""One tick renews at most so many pages of accounts; the next comes five minutes later."""


async def renew_trials(_tick: RenewTrials, uow: UnitOfWork, *, books: Books, terms: Terms) -> None:
    """Page by page: accounts that wait for a pending hold must not hide those behind them."""
    seen: list[UserId] = []
    for _ in range(PAGES_MAX if terms.trial_credits else 0):
        users = await books.accounts.lock_due_trials(uow.connection, uow.now, terms.rows_max, seen)
        if not users:
            return
        await _renew(users, uow, books=books, terms=terms)
        seen += users


async def _renew(users: list[UserId], uow: UnitOfWork, *, books: Books, terms: Terms) -> None:
    accounts = await books.accounts.load(uow.connection, users)
    busy = [account.user_id for account in accounts.values() if account.in_flight]
    pending: dict[UserId, list[Hold]] = {}
    for hold in await books.orders.pending_holds(uow.connection, busy) if busy else ():
        pending.setdefault(hold.user_id, []).append(hold)
    ledger = Ledger(uow.now)
    for user_id in users:
        account = accounts[user_id]
        waiting = pending.get(user_id, ())
        if ledger.renew_trial(account, terms.trial_credits, terms.trial_period, waiting):
            expires_at = uow.now + terms.trial_period
            event = TrialRenewed(
                user_id=user_id, credits=terms.trial_credits, expires_at=expires_at
            )
            uow.emit(event)
    await books.accounts.save(uow.connection, ledger)
