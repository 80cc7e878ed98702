"""Referrals inside other messages: a newcomer's welcome, and what their payments earn."""

from __future__ import annotations

from billing.domain import referrals
from billing.domain.accounts import Account
from billing.domain.charges import Charge
from billing.domain.ledger import Ledger
from billing.domain.reward_terms import ReferralTerms
from billing.ports import Books, Grant
from billing.ports.rewards import Referrals
from chassis import logs, metrics
from chassis.outbox import UnitOfWork
from contracts.billing import LOT_BONUS
from contracts.ids import UserId
from contracts.rewards import ReferralJoined

log = logs.get("billing.referrals")
ACTOR = "referral"
REASON_NEWCOMER = "newcomer"
joined_count = metrics.counter("vitrine.billing.referrals_joined")


async def welcome(
    uow: UnitOfWork,
    books: Books,
    ledger: Ledger,
    account: Account,
    deep_link: str,
    terms: ReferralTerms,
) -> None:
    """A new account came by somebody's link: remember whose, once, and add the bonus.

    Only whoever opens an account gets here, so nobody who was here before joins again.
    """
    code = referrals.code_in(deep_link)
    referrer = await books.referrals.owner(uow.connection, code) if code else None
    if referrer is None or referrer == account.user_id:
        return
    await books.referrals.join(uow.connection, account.user_id, referrer, uow.now)
    if terms.newcomer_credits:
        expires_at = terms.lot_expiry(uow.now)
        grant = Grant(
            f"newcomer:{account.user_id}",
            account.user_id,
            LOT_BONUS,
            terms.newcomer_credits,
            expires_at,
            REASON_NEWCOMER,
        )
        lot, _ = ledger.grant(
            account, grant.kind, grant.credits, expires_at=expires_at, reason=grant.reason
        )
        await books.grants.add(uow.connection, [(grant, lot.number, ACTOR)], uow.now)
    event = ReferralJoined(
        user_id=referrer, newcomer_id=account.user_id, newcomer_credits=terms.newcomer_credits
    )
    uow.emit(event)
    joined_count.add(1)


async def charge_credited(
    uow: UnitOfWork, *credited: Charge, store: Referrals, terms: ReferralTerms
) -> None:
    """Hold the referrers' parts of charges back: what the crediting of charges calls, once each.

    The payers' accounts are locked. The referrers' are not touched and need no lock: the cap is
    applied when a part is credited (credit_referrals).
    """
    # A plan bought for money brings no credits to have a part of.
    of: dict[UserId, list[Charge]] = {}
    for charge in credited:
        if charge.credits > 0:
            of.setdefault(charge.user_id, []).append(charge)
    made = {user_id: len(found) for user_id, found in of.items()}
    counted = await store.count_payments(uow.connection, made, terms.payments_max) if made else {}
    rewards = [
        referrals.Reward(
            charge.provider,
            charge.charge_id,
            referrer,
            newcomer,
            part,
            uow.now + terms.hold,
        )
        for newcomer, (referrer, number) in counted.items()
        for charge in of[newcomer][:number]
        if (part := referrals.part_of(charge.credits, terms))
    ]
    await store.add_rewards(uow.connection, rewards)


async def cancel_reward(
    uow: UnitOfWork, store: Referrals, *, provider: str, charge_id: str
) -> None:
    """The charge went back within the hold period: nothing is earned by it."""
    if await store.cancel(uow.connection, provider, charge_id):
        log.info("referral_reward_cancelled", provider=provider)


async def charge_taken_back(uow: UnitOfWork, charge: Charge, *, store: Referrals) -> None:
    """What a refund or charge-back calls; a refused refund does not bring the reward back."""
    await cancel_reward(uow, store, provider=charge.provider, charge_id=charge.charge_id)
