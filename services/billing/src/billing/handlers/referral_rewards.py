"""Referrals inside other messages: a newcomer's welcome, and what their payments earn."""

from __future__ import annotations

from datetime import datetime

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
from contracts.money import Credits
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


async def reward_charge(
    uow: UnitOfWork,
    store: Referrals,
    *,
    provider: str,
    charge_id: str,
    user_id: UserId,
    credits: Credits,  # noqa: A002 - the wire's own word
    now: datetime,
    terms: ReferralTerms,
) -> None:
    """Hold the referrer's part of a charge back; called where the charge is credited, once.

    The payer's account is locked. The referrer's is not touched and needs no lock: the cap is
    applied when the part is credited (credit_referrals).
    """
    if credits < 1:
        return  # a plan bought for money brings no credits to have a part of
    referrer = await store.count_payment(uow.connection, user_id, terms.payments_max)
    part = referrals.part_of(credits, terms)
    if referrer is None or not part:
        return
    reward = referrals.Reward(provider, charge_id, referrer, user_id, part, now + terms.hold)
    await store.add_reward(uow.connection, reward)


async def cancel_reward(
    uow: UnitOfWork, store: Referrals, *, provider: str, charge_id: str
) -> None:
    """The charge went back within the hold period: nothing is earned by it."""
    if await store.cancel(uow.connection, provider, charge_id):
        log.info("referral_reward_cancelled", provider=provider)


async def charge_credited(
    uow: UnitOfWork, charge: Charge, *, store: Referrals, terms: ReferralTerms
) -> None:
    """What the crediting of a charge calls."""
    await reward_charge(
        uow,
        store,
        provider=charge.provider,
        charge_id=charge.charge_id,
        user_id=charge.user_id,
        credits=charge.credits,
        now=uow.now,
        terms=terms,
    )


async def charge_taken_back(uow: UnitOfWork, charge: Charge, *, store: Referrals) -> None:
    """What a refund or charge-back calls; a refused refund does not bring the reward back."""
    await cancel_reward(uow, store, provider=charge.provider, charge_id=charge.charge_id)
