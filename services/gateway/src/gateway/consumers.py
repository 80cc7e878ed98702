"""Which messages the gateway accepts, and the handler of each. Refusals do not occur here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from chassis.consumers import Route, Subscription
from contracts import access, billing, gateway, generator, operators, payments, rewards, vpn
from contracts.envelope import Message
from gateway.handlers.access_bought import access_bought
from gateway.handlers.access_changed import access_changed
from gateway.handlers.access_not_bought import access_not_bought
from gateway.handlers.access_reminded import access_reminded
from gateway.handlers.account_opened import account_opened
from gateway.handlers.charge_refunded import charge_refunded
from gateway.handlers.command_rejected import command_rejected
from gateway.handlers.credits_adjusted import credits_adjusted
from gateway.handlers.credits_granted import credits_granted
from gateway.handlers.deliver_result import deliver_result
from gateway.handlers.draw_taken import draw_taken
from gateway.handlers.edit_stars_subscription import edit_stars_subscription
from gateway.handlers.everybody_extended import everybody_extended
from gateway.handlers.gift_made import gift_made
from gateway.handlers.gift_opened import gift_opened
from gateway.handlers.gift_refused import gift_refused
from gateway.handlers.gift_returned import gift_returned
from gateway.handlers.job_started import job_started
from gateway.handlers.key_rotated import key_rotated
from gateway.handlers.lot_expiring import lot_expiring
from gateway.handlers.node_alarmed import node_alarmed
from gateway.handlers.order_accepted import order_accepted
from gateway.handlers.order_completed import order_completed
from gateway.handlers.order_credited_back import order_credited_back
from gateway.handlers.order_refunded import order_refunded
from gateway.handlers.order_refused import order_refused
from gateway.handlers.payment_created import payment_created
from gateway.handlers.payment_credited import payment_credited
from gateway.handlers.payment_failed import payment_failed
from gateway.handlers.payment_held import payment_held
from gateway.handlers.plan_bought import plan_bought
from gateway.handlers.plan_refused import plan_refused
from gateway.handlers.promo_redeemed import promo_redeemed
from gateway.handlers.promo_refused import promo_refused
from gateway.handlers.provider_alarmed import provider_alarmed
from gateway.handlers.read_stars_statement import read_stars_statement
from gateway.handlers.referral_earned import referral_earned
from gateway.handlers.referral_joined import referral_joined
from gateway.handlers.refund_refused import refund_refused
from gateway.handlers.refund_stars import refund_stars
from gateway.handlers.subscription_changed import subscription_changed
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
                to(gateway.RefundStars, refund_stars),
                Route(message=gateway.EditStarsSubscription, handler=edit_stars_subscription),
                to(gateway.ReadStarsStatement, read_stars_statement),
            ),
        ),
        Subscription(
            stream="EVENTS",
            consumer="gateway",
            routes=(
                to(access.AccessBought, access_bought),
                to(access.AccessNotBought, access_not_bought),
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
                to(payments.PaymentCreated, payment_created),
                to(payments.PaymentFailed, payment_failed),
                to(payments.PaymentCredited, payment_credited),
                to(payments.PaymentHeld, payment_held),
                to(payments.ChargeRefunded, charge_refunded),
                to(payments.RefundRefused, refund_refused),
                to(payments.PlanBought, plan_bought),
                to(payments.PlanRefused, plan_refused),
                to(payments.SubscriptionChanged, subscription_changed),
                to(operators.CreditsAdjusted, credits_adjusted),
                to(operators.OrderCreditedBack, order_credited_back),
                to(payments.ProviderAlarmed, provider_alarmed),
                to(rewards.PromoRedeemed, promo_redeemed),
                to(rewards.PromoRefused, promo_refused),
                to(rewards.DrawTaken, draw_taken),
                to(rewards.GiftMade, gift_made),
                to(rewards.GiftRefused, gift_refused),
                to(rewards.GiftOpened, gift_opened),
                to(rewards.GiftReturned, gift_returned),
                to(rewards.ReferralJoined, referral_joined),
                to(rewards.ReferralEarned, referral_earned),
                to(rewards.LotExpiring, lot_expiring),
                to(vpn.AccessChanged, access_changed),
                to(vpn.AccessReminded, access_reminded),
                to(vpn.EverybodyExtended, everybody_extended),
                to(vpn.KeyRotated, key_rotated),
                to(vpn.NodeAlarmed, node_alarmed),
            ),
        ),
    )
