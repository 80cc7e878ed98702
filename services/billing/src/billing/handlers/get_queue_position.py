"""queue_position: how many orders start before this one, and a guess of the wait."""

from __future__ import annotations

from billing.domain.errors import UnknownOrderError
from billing.domain.pace import Pace
from billing.ports import Reads
from chassis.clock import Clock
from contracts.billing import GetQueuePosition, QueuePosition


async def get_queue_position(
    request: GetQueuePosition, *, reads: Reads, clock: Clock, pace: Pace
) -> QueuePosition:
    """Raises UnknownOrderError: the request is answered with its code."""
    place = await reads.place(request.order_id)
    if place is None:
        raise UnknownOrderError
    ahead, running = dict(place.ahead), dict(place.running)
    return QueuePosition(
        state=place.state,
        ahead=sum(ahead.values()),
        eta_seconds=pace.eta_seconds(place.pool, ahead, running, clock.now()),
    )
