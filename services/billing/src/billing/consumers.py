"""What billing accepts, and where it goes. Limits: contracts.topology; policy: chassis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers.cancel_order import cancel_orders
from billing.handlers.grant_credits import grant_credits
from billing.handlers.open_account import open_account
from billing.handlers.place_order import place_orders
from billing.handlers.record_delivery import record_deliveries
from billing.handlers.record_job_failed import (
    record_access_refused,
    record_jobs_cancelled,
    record_jobs_failed,
)
from billing.handlers.record_job_started import record_jobs_started
from billing.handlers.record_job_succeeded import record_jobs_succeeded
from billing.handlers.renew_trials import renew_trials
from billing.handlers.run_audit import run_audit
from billing.handlers.set_tier import set_tiers
from billing.ports import Books, Queues
from chassis.consumers import Route, Subscription
from contracts import billing, gateway, generator, vpn
from contracts.catalogue import Workflow


def table(
    *,
    books: Books,
    queues: Queues,
    pace: Pace,
    catalogue: Mapping[str, Workflow],
    terms: Terms,
) -> tuple[Subscription, ...]:
    place = partial(place_orders, books=books, queues=queues, catalogue=catalogue, terms=terms)
    succeeded = partial(record_jobs_succeeded, books=books, pace=pace, terms=terms)
    open_ = partial(open_account, books=books, terms=terms)
    renew = partial(renew_trials, books=books, terms=terms)
    with_books = partial(partial, books=books)
    commands = (
        Route(message=billing.PlaceOrder, handler=place, batch=True),
        Route(message=billing.CancelOrder, handler=with_books(cancel_orders), batch=True),
        Route(message=billing.GrantCredits, handler=with_books(grant_credits), batch=True),
        Route(message=billing.SetTier, handler=with_books(set_tiers), batch=True),
        Route(message=billing.OpenAccount, handler=open_),
        Route(message=billing.RenewTrials, handler=renew),
        Route(message=billing.RunAudit, handler=run_audit),
    )
    started = partial(record_jobs_started, books=books, pace=pace)
    failed = with_books(record_jobs_failed)
    cancelled = with_books(record_jobs_cancelled)
    events = (
        Route(message=generator.JobStarted, handler=started, batch=True),
        Route(message=generator.JobSucceeded, handler=succeeded, batch=True),
        Route(message=generator.JobFailed, handler=failed, batch=True),
        Route(message=generator.JobCancelled, handler=cancelled, batch=True),
        Route(message=gateway.DeliveryRecorded, handler=with_books(record_deliveries), batch=True),
        Route(message=vpn.AccessRefused, handler=with_books(record_access_refused), batch=True),
    )
    lock = books.accounts.lock
    return (
        Subscription(stream="BILLING", consumer="billing", routes=commands, lock=lock),
        Subscription(stream="EVENTS", consumer="billing", routes=events, lock=lock),
    )
