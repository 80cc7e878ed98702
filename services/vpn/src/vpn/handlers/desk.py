"""One transaction's work on subscriptions: loaded under lock, changed, told, recorded together."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

from chassis import logs, metrics
from chassis.outbox import UnitOfWork
from contracts import access, vpn
from contracts.ids import SubscriptionId, UserId, renewal_order_id
from contracts.scheduler import CancelTimer, ScheduleTimer
from contracts.vpn import AccessChanged, AccessReminded, CheckSubscription
from vpn.domain import access as domain
from vpn.domain import care
from vpn.domain.access import Subscription
from vpn.domain.terms import Terms
from vpn.ports import Books, Person, Wanted

log = logs.get("vpn.access")
changes_count = metrics.counter("vitrine.vpn.changes", description="subscriptions, by cause")
grace_count = metrics.counter("vitrine.vpn.grace.observed", description="who would have had grace")
TIMER_AHEAD_MAX = timedelta(days=365)
"""A timer further ahead is set again when this one fires: a hint too early does no harm."""


class Desk:
    """Opened with the people concerned, whose locks are held; closed once, before the commit."""

    def __init__(
        self, uow: UnitOfWork, books: Books, terms: Terms, found: dict[UserId, Subscription]
    ) -> None:
        self.uow = uow
        self.books = books
        self.terms = terms
        self.found = found
        self._reasons: dict[UserId, str] = {}
        self._traces: dict[UserId, str] = {}

    @classmethod
    async def open(
        cls, uow: UnitOfWork, books: Books, terms: Terms, user_ids: Collection[UserId]
    ) -> Self:
        found = await books.subscriptions.load(uow.connection, sorted(set(user_ids)))
        return cls(uow, books, terms, found)

    @property
    def now(self) -> datetime:
        return self.uow.now

    async def meet(self, user_ids: Collection[UserId]) -> None:
        """Have a subscription for each of these, a new one for whoever never had any."""
        new = sorted({each for each in user_ids if each not in self.found})
        if not new:
            return
        people = await self.books.subscriptions.people(self.uow.connection, new)
        for user_id in new:
            one = Subscription(SubscriptionId(uuid4()), user_id, domain.whole(self.now))
            person = people.get(user_id, Person())
            one.trial_used, one.reminders, one.time_zone = person
            self.found[user_id] = one

    def changed(
        self, one: Subscription, cause: str, *, days: int = 0, reason: str = "", trace: str = ""
    ) -> None:
        """Tell that a subscription changed, and have it recorded."""
        self.touched(one, cause, trace=trace)
        one.version += 1
        event = AccessChanged(
            user_id=one.user_id,
            subscription_id=one.id,
            state=one.state,
            cause=cause,
            plan=one.plan,
            until=one.until,
            grace_until=one.grace_until,
            delete_at=one.delete_at,
            trial=one.trial,
            auto_renew=one.auto_renew,
            days=days,
            reason=reason,
        )
        self.uow.emit(
            event,
            aggregate=f"subscription:{one.id}",
            version=one.version,
            traceparent=trace or None,
        )
        changes_count.add(1, {"cause": cause})

    def touched(self, one: Subscription, reason: str, *, trace: str = "") -> None:
        """Have a subscription recorded; `reason`: why its nodes lose it, should they."""
        self._reasons[one.user_id] = reason
        if trace:
            self._traces[one.user_id] = trace

    def remind(self, one: Subscription, kind: str, **fields: int) -> None:
        event = AccessReminded(
            user_id=one.user_id,
            subscription_id=one.id,
            kind=kind,
            until=one.until,
            plan=one.plan,
            auto_renew=one.auto_renew,
            **fields,
        )
        self.uow.emit(event)

    def look_after(self, one: Subscription, *, fired: bool = False) -> bool:
        """Do what time has made due. `fired`: its timer is spent, so it is set again."""
        found = care.care(one, self.now, self.terms)
        if found.grace_observed:
            grace_count.add(1)
            log.info("grace_observed", subscription_id=str(one.id))
        if found.causes:
            self.changed(one, found.causes[-1])
        if found.renewal_attempt:
            self._ask_renewal(one, found.renewal_attempt)
        if found.credits_short:
            self.remind(one, vpn.REMINDER_CREDITS_SHORT)
        if found.days_left is not None:
            kind = vpn.REMINDER_TRIAL if one.trial else vpn.REMINDER_BEFORE_END
            self.remind(one, kind, days_left=found.days_left)
        if found or fired or (one.due_at is not None and one.due_at <= self.now):
            if fired:
                one.due_at = None
            self.touched(one, found.causes[-1] if found.causes else vpn.CAUSE_EXPIRED)
        return bool(found)

    def _ask_renewal(self, one: Subscription, attempt: int) -> None:
        order_id = renewal_order_id(one.id, one.until)
        command = access.RenewAccess(
            order_id=order_id,
            user_id=one.user_id,
            subscription_id=one.id,
            plan_id=one.plan,
            period_end=one.until,
            attempt=attempt,
        )
        self.uow.emit(command, order_id=order_id)
        log.info("renewal_asked", order_id=str(order_id), attempt=attempt)

    async def close(self) -> None:
        """Record everything, set timers, and tell nodes what differs for them."""
        touched = [self.found[user_id] for user_id in self._reasons]
        if not touched:
            return
        for one in touched:
            one.version = max(one.version, 1)
            self._set_timer(one)
        connection = self.uow.connection
        await self.books.subscriptions.save(connection, touched, self.now)
        wanted = [
            Wanted(
                one.id,
                one.set_id,
                domain.entry_of(one, self.terms),
                self._reasons[one.user_id],
            )
            for one in touched
        ]
        if await self.books.desired.change(connection, wanted, self.now) is not None:
            self.uow.after_commit(self.books.wake)
        self._reasons.clear()

    def _set_timer(self, one: Subscription) -> None:
        due = care.next_due(one, self.now, self.terms)
        if due == one.due_at:
            return
        one.due_at = due
        one.timer_version += 1
        key = f"vpn:{one.id}"
        if due is None:
            self.uow.emit(CancelTimer(key=key, version=one.timer_version))
            return
        check = CheckSubscription(subscription_id=one.id, user_id=one.user_id)
        timer = ScheduleTimer(
            key=key,
            version=one.timer_version,
            due_at=min(due, self.now + TIMER_AHEAD_MAX),
            fire_subject=check.subject,
            fire_body=check.encode(),
        )
        self.uow.emit(timer)
