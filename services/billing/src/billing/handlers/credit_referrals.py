"""Referral rewards whose hold period is over: credited, up to the cap of each referrer.

Accounts are locked first, rewards after them; whoever cancels a reward holds an account and
then takes the one row, so neither ever waits for the other in a circle.
"""

from __future__ import annotations

from billing.domain import referrals
from billing.domain.accounts import Account
from billing.domain.errors import InvalidError
from billing.domain.ledger import Ledger
from billing.domain.referrals import Reward
from billing.domain.terms import Terms
from billing.handlers.referral_rewards import ACTOR
from billing.ports import Books, Grant
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.billing import LOT_BONUS
from contracts.ids import UserId
from contracts.money import NO_CREDITS, Credits
from contracts.rewards import ReferralEarned

log = logs.get("billing.referrals")
REASON = "referral"


async def credit_referrals(uow: UnitOfWork, *, books: Books, terms: Terms) -> int:
    """Settle what is due, at most `rows_max`; return how many rewards were found."""
    connection = uow.connection
    found = await books.referrals.due(connection, uow.now, terms.rows_max)
    if not found:
        return 0
    owners = sorted(set(found))
    await books.accounts.lock(connection, owners)
    rewards = await books.referrals.lock_due(connection, owners, uow.now, terms.rows_max)
    accounts = await books.accounts.load(connection, owners)
    credited = await books.referrals.credited(connection, owners)
    ledger = Ledger(uow.now)
    made = []
    for reward in rewards:
        given = _grant(reward, accounts, ledger, credited, terms)
        if given is None:
            reward.state = referrals.CANCELLED
            log.info("referral_reward_over_cap", user_id=reward.referrer_id)
            continue
        reward.state, reward.credits = referrals.CREDITED, given[0].credits
        made.append((*given, ACTOR))
        event = ReferralEarned(
            user_id=reward.referrer_id, newcomer_id=reward.newcomer_id, credits=reward.credits
        )
        uow.emit(event)
    await books.referrals.settle(connection, rewards)
    await books.grants.add(connection, made, uow.now)
    await books.accounts.save(connection, ledger)
    return len(found)


def _grant(
    reward: Reward,
    accounts: dict[UserId, Account],
    ledger: Ledger,
    credited: dict[UserId, Credits],
    terms: Terms,
) -> tuple[Grant, int] | None:
    """Credit what the cap leaves of it. None: nothing is left."""
    before = credited.get(reward.referrer_id, NO_CREDITS)
    part = referrals.within_cap(reward.credits, before, terms.rewards.referral)
    if not part:
        return None
    expires_at = terms.rewards.referral.lot_expiry(ledger.now)
    grant = Grant(reward.grant_key, reward.referrer_id, LOT_BONUS, part, expires_at, REASON)
    try:
        lot, _ = ledger.grant(
            accounts[reward.referrer_id], LOT_BONUS, part, expires_at=expires_at, reason=REASON
        )
    except InvalidError:
        return None
    credited[reward.referrer_id] = Credits(before + part)
    return grant, lot.number
