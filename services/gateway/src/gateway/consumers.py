"""Which messages the gateway accepts, and the handler of each. Refusals do not occur here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from chassis.consumers import Route, Subscription
from contracts import billing, gateway, generator
from contracts.envelope import Message
from gateway.handlers.account_opened import account_opened
from gateway.handlers.command_rejected import command_rejected
from gateway.handlers.credits_granted import credits_granted
from gateway.handlers.deliver_result import deliver_result
from gateway.handlers.job_started import job_started
from gateway.handlers.order_accepted import order_accepted
from gateway.handlers.order_completed import order_completed
from gateway.handlers.order_refunded import order_refunded
from gateway.handlers.order_refused import order_refused
from gateway.handlers.sweep_media import sweep_media
from gateway.handlers.tier_set import tier_set
from gateway.handlers.trial_renewed import trial_renewed
from gateway.ports import Shop, Sweeper


def table(shop: Shop, sweeper: Sweeper) -> tuple[Subscription, ...]:
    """Retry limits are the runtime's: handed back with backoff, parked after five starts."""

    def to(message: type[Message], handler: Callable[..., Awaitable[None]], **extra: Any) -> Route:
        return Route(message=message, handler=partial(handler, **(extra or {"shop": shop})))

    return (
        Subscription(
            stream="GATEWAY",
            consumer="gateway",
            routes=(
                to(gateway.DeliverResult, deliver_result),
                to(gateway.SweepMedia, sweep_media, sweeper=sweeper),
            ),
        ),
        Subscription(
            stream="EVENTS",
            consumer="gateway",
            routes=(
                to(billing.AccountOpened, account_opened),
                to(billing.OrderAccepted, order_accepted),
                to(billing.OrderRefused, order_refused),
                to(billing.OrderCompleted, order_completed),
                to(billing.OrderRefunded, order_refunded),
                to(billing.CommandRejected, command_rejected),
                to(billing.CreditsGranted, credits_granted),
                to(billing.TierSet, tier_set),
                to(billing.TrialRenewed, trial_renewed),
                to(generator.JobStarted, job_started),
            ),
        ),
    )
