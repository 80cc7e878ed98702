"""open_account: a person appeared; they get the trial credits, once."""

from __future__ import annotations

import re

from billing.domain.accounts import Account
from billing.domain.ledger import Ledger
from billing.domain.terms import Terms
from billing.handlers.referral_rewards import welcome
from billing.ports import Books
from chassis.outbox import UnitOfWork
from contracts.billing import AccountOpened, OpenAccount

DEEP_LINK = re.compile(r"[A-Za-z0-9_-]{0,64}")
"""What Telegram allows in a start parameter; anything else is not a link of ours."""


async def open_account(
    command: OpenAccount, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
    deep_link = command.deep_link if DEEP_LINK.fullmatch(command.deep_link) else ""
    if not await books.accounts.open(uow.connection, command.user_id, deep_link, uow.now):
        return
    ledger = Ledger(uow.now)
    account = Account(command.user_id)
    ledger.open_trial(account, terms.trial_credits, terms.trial_period)
    uow.emit(AccountOpened(user_id=command.user_id, trial_credits=terms.trial_credits))
    await welcome(uow, books, ledger, account, deep_link, terms.rewards.referral)
    await books.accounts.save(uow.connection, ledger)
