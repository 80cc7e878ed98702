"""draw_proof: what it takes to check a past day's draw by hand; see docs/verify-draw.md."""

from __future__ import annotations

from billing.domain import quotas
from billing.domain.terms import Terms
from billing.ports.rewards import RewardReads
from chassis.clock import Clock
from contracts.rewards import DrawProof, GetDrawProof


async def get_draw_proof(
    request: GetDrawProof, *, reads: RewardReads, clock: Clock, terms: Terms
) -> DrawProof:
    """The seed only of a day that is over: who knows it earlier knows everybody's prize."""
    seed = await reads.seed(request.day)
    if seed is None:
        return DrawProof(day=request.day)
    over = quotas.shop_day(clock.now(), terms.zone) > request.day
    drawn = await reads.won(request.user_id, request.day)
    return DrawProof(
        day=request.day,
        commitment=seed.commitment,
        seed=seed.seed.hex() if over else "",
        prize=drawn[0].prize if drawn is not None else "",
        percent=drawn[0].percent if drawn is not None else 0,
    )
