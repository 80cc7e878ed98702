"""rewards: what a person sees on the draw and referral screens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

from billing.domain import draws, quotas, referrals
from billing.domain.terms import Terms
from billing.ports.rewards import RewardReads
from chassis.clock import Clock
from contracts.rewards import GetRewards, Rewards


async def get_rewards(
    request: GetRewards,
    *,
    reads: RewardReads,
    clock: Clock,
    terms: Terms,
    secret: Callable[[int], bytes] = secrets.token_bytes,
) -> Rewards:
    today = quotas.shop_day(clock.now(), terms.zone)
    tomorrow = today + timedelta(days=1)
    fresh = referrals.code_of(secret(referrals.CODE_BYTES))
    standing = await reads.standing(request.user_id, fresh)
    published = await reads.commitments([today, tomorrow])
    drawn = await reads.won(request.user_id, today)
    won, used = drawn if drawn is not None else (None, False)
    return Rewards(
        referral_code=standing.code,
        invited=standing.invited,
        earned_credits=standing.earned,
        pending_credits=standing.pending,
        draw_day=today,
        draw_prize=won.prize if won is not None else "",
        draw_percent=won.percent if won is not None else 0,
        draw_used=used,
        draw_commitment=published.get(today, ""),
        next_commitment=published.get(tomorrow, ""),
        draw_valid_until=draws.valid_until(today, terms.zone),
    )
