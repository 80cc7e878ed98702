"""set_tier: give or take a tier; every change is recorded with reason and actor."""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain import plans, tiers
from billing.domain.errors import NoAccountError, OvertakenError
from billing.handlers import announce
from billing.ports import Books
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import SetTier
from contracts.errors import RefusalError


async def set_tiers(
    received: Sequence[Received[SetTier]], uow: UnitOfWork, *, books: Books
) -> None:
    users = [each.message.user_id for each in received]
    accounts = await books.accounts.load(uow.connection, users)
    for each in received:
        command = each.message
        try:
            account = accounts.get(command.user_id)
            if account is None:
                raise NoAccountError
            tiers.check(command.tier, command.until, uow.now)
            # Of what was paid for since it was said it knows nothing.
            if not await uow.is_last_word(announce.tier_word(account.user_id), each.headers.id):
                raise OvertakenError
            plans.put(account, command.tier, command.until, uow.now)
        except RefusalError as error:
            announce.rejected(uow, each, error)
            continue
        await books.accounts.save_tier(uow.connection, account, command, uow.now)
        await books.tier_steps.save(uow.connection, account)
        announce.tier_set(uow, command, account.tier_until, account.tier_version, each.traceparent)
