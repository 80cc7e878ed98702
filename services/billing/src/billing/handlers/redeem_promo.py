"""redeem_promo: give what a code promises, once per person and within its limits.

The codes of a batch are locked in ascending order after the accounts, so that uses are counted
one redeemer after another on however many connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from billing.domain import plans, promos
from billing.domain.accounts import Account
from billing.domain.discounts import Discount
from billing.domain.errors import NoAccountError, PromoUnknownError
from billing.domain.ledger import Ledger
from billing.domain.promos import Asker, Promo
from billing.domain.terms import Terms
from billing.handlers import announce
from billing.ports import Books, Grant
from billing.ports.rewards import Rewards
from chassis import logs, metrics
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import LOT_BONUS, TIER_BY_PROMO, SetTier
from contracts.errors import RefusalError
from contracts.ids import UserId
from contracts.money import Credits
from contracts.rewards import (
    PROMO_CREDITS,
    PROMO_DISCOUNT,
    PromoRedeemed,
    PromoRefused,
    RedeemPromo,
)

log = logs.get("billing.promos")
REASON = "promo"
CODE_SHOWN_MAX = 40
redeemed_count = metrics.counter("vitrine.billing.promos", description="by kind or refusal")


@dataclass(slots=True)
class _Counter:
    """What one batch works on, and what of it must be recorded."""

    ledger: Ledger
    accounts: dict[UserId, Account]
    promos: dict[str, Promo]
    uses: set[tuple[str, UserId]]
    payers: set[UserId]
    misses: dict[UserId, list[datetime]]
    missed: set[UserId] = field(default_factory=set)
    redeemed: list[tuple[str, UserId]] = field(default_factory=list)
    grants: list[tuple[Grant, int, str]] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)


async def redeem_promos(
    received: Sequence[Received[RedeemPromo]],
    uow: UnitOfWork,
    *,
    books: Books,
    rewards: Rewards,
    terms: Terms,
) -> None:
    counter = await _open(received, uow, books, rewards)
    for each in received:
        command = each.message
        code = promos.normal(command.code)
        try:
            promo = _redeem(counter, command.user_id, code, terms)
            tier = _give(counter, promo, command.user_id, terms)
        except RefusalError as error:
            event = PromoRefused(
                user_id=command.user_id, code=code[:CODE_SHOWN_MAX], reason=error.code
            )
            uow.emit(event, traceparent=each.traceparent)
            redeemed_count.add(1, {"outcome": error.code})
            continue
        account = counter.accounts[command.user_id]
        if tier is not None:
            await uow.is_last_word(announce.tier_word(account.user_id), each.headers.id)
            await books.accounts.save_tier(uow.connection, account, tier, uow.now)
            await books.tier_steps.save(uow.connection, account)
            announce.tier_set(
                uow,
                tier,
                tier.until,
                account.tier_version,
                each.traceparent,
                cause=TIER_BY_PROMO,
            )
        redeemed = PromoRedeemed(
            user_id=command.user_id,
            code=code,
            kind=promo.kind,
            value=promo.value,
            tier=promo.tier,
            available_credits=account.available,
        )
        uow.emit(redeemed, traceparent=each.traceparent)
        redeemed_count.add(1, {"outcome": promo.kind})
    await _record(counter, uow, books, rewards)


async def _open(
    received: Sequence[Received[RedeemPromo]], uow: UnitOfWork, books: Books, rewards: Rewards
) -> _Counter:
    connection = uow.connection
    users = list({each.message.user_id for each in received})
    asked = [(promos.normal(each.message.code), each.message.user_id) for each in received]
    pairs = [(code, user_id) for code, user_id in asked if promos.is_code(code)]
    found = await rewards.promos.lock(connection, list({code for code, _ in pairs}))
    newcomers_only = any(promo.newcomers_only for promo in found.values())
    return _Counter(
        Ledger(uow.now),
        await books.accounts.load(connection, users),
        found,
        # Read under the lock of the code: nobody redeems it between this and our commit.
        await rewards.promos.users(connection, pairs),
        await rewards.promos.payers(connection, users) if newcomers_only else set(),
        await rewards.promos.misses(connection, users),
    )


def _redeem(counter: _Counter, user_id: UserId, code: str, terms: Terms) -> Promo:
    now = counter.ledger.now
    if user_id not in counter.accounts:
        raise NoAccountError
    misses = counter.misses.get(user_id, [])
    # Before the code is looked at: whoever guesses learns nothing, not even from a right one.
    promos.check_guesses(misses, now, terms.rewards.promo)
    asker = Asker((code, user_id) in counter.uses, user_id in counter.payers)
    try:
        return promos.check(counter.promos.get(code), asker, now)
    except PromoUnknownError:
        kept = promos.recent(misses, now, terms.rewards.promo)
        counter.misses[user_id] = [*kept, now]
        counter.missed.add(user_id)
        raise


def _give(counter: _Counter, promo: Promo, user_id: UserId, terms: Terms) -> SetTier | None:
    """Give what it promises and count it, or raise and leave everything as it was.

    Returns the change of tier, if it is one.
    """
    tier = None
    account, now = counter.accounts[user_id], counter.ledger.now
    if promo.kind == PROMO_CREDITS:
        key, amount = f"promo:{promo.code}:{user_id}", Credits(promo.value)
        grant = Grant(key, user_id, LOT_BONUS, amount, promo.lot_expiry(now), REASON)
        lot, _ = counter.ledger.grant(
            account, grant.kind, amount, expires_at=grant.expires_at, reason=REASON
        )
        counter.grants.append((grant, lot.number, REASON))
    elif promo.kind == PROMO_DISCOUNT:
        until = promo.discount_until(now, terms.rewards.promo)
        counter.discounts.append(Discount(user_id, promo.discount_key, promo.value, until))
    else:
        plans.check(account, promo.tier, now)
        plans.extend(account, promo.tier, timedelta(days=promo.value), now)
        tier = SetTier(
            user_id=user_id,
            tier=account.tier,
            until=account.tier_until,
            reason=f"promo {promo.code}",
            actor=REASON,
        )
    promo.used += 1
    counter.uses.add((promo.code, user_id))
    counter.redeemed.append((promo.code, user_id))
    return tier


async def _record(counter: _Counter, uow: UnitOfWork, books: Books, rewards: Rewards) -> None:
    connection = uow.connection
    await rewards.promos.count_uses(connection, counter.redeemed, uow.now)
    missed = {user_id: counter.misses[user_id] for user_id in counter.missed}
    await rewards.promos.save_misses(connection, missed)
    await books.discounts.add(connection, counter.discounts, uow.now)
    await books.grants.add(connection, counter.grants, uow.now)
    await books.accounts.save(connection, counter.ledger)
