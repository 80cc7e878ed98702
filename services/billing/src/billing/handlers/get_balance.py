"""balance: what a person can spend, what is held, what expires when."""

from __future__ import annotations

from billing.domain import quotas, tiers
from billing.domain.lots import in_spend_order
from billing.domain.terms import Terms
from billing.ports import Reads
from chassis.clock import Clock
from contracts.billing import Balance, GetBalance, LotBalance
from contracts.money import Credits


async def get_balance(request: GetBalance, *, reads: Reads, clock: Clock, terms: Terms) -> Balance:
    account = await reads.account(request.user_id)
    if account is None:
        return Balance(user_id=request.user_id)
    now = clock.now()
    midnight = quotas.day_start(quotas.shop_day(now, terms.zone), terms.zone)
    live = [
        lot for lot in in_spend_order(account.lots.values()) if lot.remaining and lot.is_live(now)
    ]
    tier = tiers.tier_of(account, now)
    return Balance(
        user_id=account.user_id,
        opened=True,
        available_credits=Credits(sum(lot.remaining for lot in live)),
        held_credits=account.held,
        spent_today_credits=await reads.spent_since(account.user_id, midnight),
        debt_credits=account.debt,
        tier=tier,
        tier_until=account.tier_until if tier == account.tier else None,
        lots=tuple(
            LotBalance(lot=lot.kind, remaining_credits=lot.remaining, expires_at=lot.expires_at)
            for lot in live
        ),
    )
