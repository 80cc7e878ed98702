"""What billing accepts, and where it goes. Limits: contracts.topology; policy: chassis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers import (
    adjust_credits,
    buy_access,
    buy_plan,
    cancel_payment,
    change_subscription,
    create_payment,
    forget_seal_head,
    record_charge_back,
    record_stars_paid,
    record_stars_refund,
    record_stars_statement,
    record_subscription_edited,
    refund_charge,
    refund_order,
    resolve_review,
    tell,
    watch_payments,
)
from billing.handlers.apart import Handle, Rejected, apart
from billing.handlers.cancel_order import cancel_orders
from billing.handlers.checked import checked
from billing.handlers.make_gift import make_gifts
from billing.handlers.open_account import open_account
from billing.handlers.open_gift import open_gifts
from billing.handlers.orders_and_grants import place_and_grant
from billing.handlers.record_access import record_access_granted, record_access_refused
from billing.handlers.record_delivery import record_deliveries
from billing.handlers.record_job_failed import (
    record_jobs_cancelled,
    record_jobs_failed,
)
from billing.handlers.record_job_started import record_jobs_started
from billing.handlers.record_job_succeeded import record_jobs_succeeded
from billing.handlers.redeem_promo import redeem_promos
from billing.handlers.renew_trials import renew_trials
from billing.handlers.run_audit import run_audit
from billing.handlers.save_promo import save_promos
from billing.handlers.set_tier import set_tiers
from billing.handlers.take_draw import take_draws
from billing.ports import Books, Queues
from billing.ports.payments import Till
from billing.ports.rewards import Rewards
from chassis.consumers import Route, Subscription
from contracts import access, billing, gateway, generator, operators, payments, vpn
from contracts import rewards as given
from contracts.catalogue import Workflow
from contracts.envelope import Message


def table(
    *,
    books: Books,
    rewards: Rewards,
    till: Till,
    queues: Queues,
    pace: Pace,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> tuple[Subscription, ...]:
    taken = partial(place_and_grant, books=books, queues=queues, catalogue=catalogue, terms=terms)
    both = checked(taken, till)  # once: routes with one and the same handler share its batches
    succeeded = partial(record_jobs_succeeded, books=books, pace=pace, terms=terms)
    open_ = partial(open_account, books=books, terms=terms)
    renew = partial(renew_trials, books=books, terms=terms)
    with_books = partial(partial, books=books)
    commands = (
        Route(message=billing.PlaceOrder, handler=both, batch=True),
        Route(message=billing.GrantCredits, handler=both, batch=True),
        Route(message=billing.CancelOrder, handler=with_books(cancel_orders), batch=True),
        Route(message=billing.SetTier, handler=checked(with_books(set_tiers), till), batch=True),
        Route(message=billing.OpenAccount, handler=open_),
        Route(message=billing.RenewTrials, handler=renew),
        Route(message=billing.RunAudit, handler=run_audit),
        *_reward_routes(books, rewards, till, terms),
        *_payment_routes(till),
        *_access_routes(till, terms),
    )
    started = partial(record_jobs_started, books=books, pace=pace)
    failed = with_books(record_jobs_failed)
    cancelled = with_books(record_jobs_cancelled)
    granted = with_books(record_access_granted, plans=till.offers.access)
    events = (
        Route(message=generator.JobStarted, handler=started, batch=True),
        Route(message=generator.JobSucceeded, handler=succeeded, batch=True),
        Route(message=generator.JobFailed, handler=failed, batch=True),
        Route(message=generator.JobCancelled, handler=cancelled, batch=True),
        Route(message=gateway.DeliveryRecorded, handler=with_books(record_deliveries), batch=True),
        Route(message=vpn.AccessGranted, handler=granted, batch=True),
        Route(message=vpn.AccessRefused, handler=with_books(record_access_refused), batch=True),
        *_stars_routes(till),
    )
    lock = books.accounts.lock
    return (
        Subscription(stream="BILLING", consumer="billing", routes=commands, lock=lock),
        Subscription(stream="EVENTS", consumer="billing", routes=events, lock=lock),
    )


def _reward_routes(books: Books, rewards: Rewards, till: Till, terms: Terms) -> tuple[Route, ...]:
    parts = partial(partial, books=books, rewards=rewards)
    save = checked(partial(save_promos, rewards=rewards), till)
    redeem, draw = parts(redeem_promos, terms=terms), parts(take_draws, terms=terms)
    return (
        Route(message=given.SavePromo, handler=save, batch=True),
        Route(message=given.RedeemPromo, handler=redeem, batch=True),
        Route(message=given.TakeDraw, handler=draw, batch=True),
        Route(message=given.MakeGift, handler=parts(make_gifts, terms=terms), batch=True),
        Route(message=given.OpenGift, handler=parts(open_gifts), batch=True),
    )


def _payment_routes(till: Till) -> tuple[Route, ...]:
    def one(message: type[Message], handle: Handle, rejected: Rejected | None = None) -> Route:
        refusals = {} if rejected is None else {"rejected": rejected}
        return Route(message=message, handler=apart(handle, till=till, **refusals), batch=True)

    by_operators = partial(partial, till=till)
    not_refunded = by_operators(refund_charge.not_refunded)
    not_resolved = by_operators(resolve_review.not_resolved)
    not_adjusted = by_operators(adjust_credits.not_adjusted)
    not_given_back = by_operators(refund_order.not_refunded)
    not_forgotten = by_operators(forget_seal_head.not_forgotten)
    not_recorded = by_operators(record_charge_back.not_recorded)
    return (
        one(payments.CreatePayment, create_payment.create_payment, tell.not_created),
        one(payments.CancelPayment, cancel_payment.cancel_payment),
        one(payments.BuyPlan, buy_plan.buy_plan, buy_plan.plan_refused),
        one(payments.ChangeSubscription, change_subscription.change_subscription),
        one(payments.RefundCharge, refund_charge.refund_charge, not_refunded),
        one(operators.RefundOrder, refund_order.refund_order, not_given_back),
        one(operators.ResolveReview, resolve_review.resolve_review, not_resolved),
        one(operators.AdjustCredits, adjust_credits.adjust_credits, not_adjusted),
        one(operators.RecordChargeBack, record_charge_back.record_charge_back, not_recorded),
        one(operators.ForgetSealHead, forget_seal_head.forget_seal_head, not_forgotten),
        one(payments.WatchPayments, watch_payments.watch_payments),
    )


def _access_routes(till: Till, terms: Terms) -> tuple[Route, ...]:
    buy = apart(
        buy_access.buy_access,
        buy_access.access_refused,
        books=till.books,
        plans=till.offers.access,
        terms=terms,
    )
    return (
        Route(message=access.BuyAccess, handler=buy, batch=True),
        Route(message=access.RenewAccess, handler=buy, batch=True),
    )


def _stars_routes(till: Till) -> tuple[Route, ...]:
    paid = record_stars_paid.record_stars_paid
    refunded = record_stars_refund.record_stars_refund
    edited = record_subscription_edited.record_subscription_edited
    read = record_stars_statement.record_stars_statement
    with_till = partial(partial, till=till)
    return (
        Route(message=gateway.StarsPaid, handler=with_till(paid), batch=True),
        Route(message=gateway.StarsRefundRecorded, handler=with_till(refunded)),
        Route(message=gateway.StarsSubscriptionEdited, handler=with_till(edited)),
        Route(message=gateway.StarsStatementRead, handler=with_till(read)),
    )
