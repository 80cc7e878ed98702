"""reconcile: what providers say of a period beside our charges; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from billing.domain import moments, reconciliation
from billing.domain.errors import InvalidError
from billing.domain.reconciliation import Line, Period
from billing.ports.operators import Ledgers
from billing.ports.payments import (
    EVENT_PAID,
    EVENT_PARTLY_REFUNDED,
    EVENT_REFUNDED,
    Capabilities,
    PaymentProvider,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnclearError,
    TokenRefusedError,
)
from chassis import logs
from contracts import errors
from contracts.operators import Reconcile, Reconciled, Reconciliation

log = logs.get("billing.payments")
PERIOD_MAX = timedelta(days=400)
SHOWN_MAX = 500
"""More differences than this are counted, not listed: an answer has to fit into a message."""
UNSTATED = timedelta(minutes=10)
"""What was paid so shortly before a statement was read may come in its next page."""


async def reconcile(
    request: Reconcile,
    *,
    ledgers: Ledgers,
    on: Mapping[str, Capabilities],
    providers: Mapping[str, PaymentProvider],
) -> Reconciliation:
    """Raises InvalidError for a period that is none, or a provider that is switched off."""
    moments.check(request)
    if not timedelta(0) < request.until - request.since <= PERIOD_MAX:
        raise InvalidError("a period of 1 to 400 days")
    if request.provider and request.provider not in on:
        raise InvalidError("that provider is switched off")
    names = [request.provider] if request.provider else list(on)
    period = Period(request.since, request.until)
    return Reconciliation(
        providers=tuple(
            [
                await _compared(name, on[name], providers.get(name), period, ledgers)
                for name in names
            ]
        )
    )


async def _compared(
    name: str,
    capabilities: Capabilities,
    provider: PaymentProvider | None,
    period: Period,
    ledgers: Ledgers,
) -> Reconciled:
    try:
        if provider is not None:
            cursor = period.since.astimezone(UTC).isoformat()
            events, _ = await provider.list_since(cursor)
        else:
            events, read_at = await ledgers.statement(name, period.since)
            if read_at is None:
                return Reconciled(provider=name, code=errors.STATEMENT_UNREAD)
            period = Period(period.since, period.until, read_at - UNSTATED)
    except TokenRefusedError:
        return Reconciled(provider=name, code=errors.TOKEN_REFUSED)
    except (ProviderUnclearError, ProviderRefusedError) as error:
        log.warning("provider_not_reconciled", provider=name, reason=type(error).__name__)
        return Reconciled(provider=name, code=errors.PROVIDER_FAILED)
    lines = lines_of(events)
    ours = await ledgers.charges(name, period.since, period.until, list(lines))
    states_refunds = capabilities.states_refunds
    found = reconciliation.compare(lines, ours, period, states_refunds=states_refunds)
    return Reconciled(
        provider=name,
        read_until=period.read_until,
        matched=found.matched,
        matched_minor=dict(found.matched_minor),
        refunds=found.refunds,
        refunded_minor=dict(found.refunded_minor),
        states_refunds=states_refunds,
        differences=tuple(found.differences[:SHOWN_MAX]),
        cut=max(0, len(found.differences) - SHOWN_MAX),
    )


def lines_of(events: Iterable[ProviderEvent]) -> dict[str, Line]:
    """One line a charge, whatever a provider says of it and how often."""
    lines: dict[str, Line] = {}
    for event in events:
        line = lines.setdefault(event.charge_id, _line(event))
        if event.kind == EVENT_PAID:
            line.paid_minor, line.at = event.amount_minor, event.at
        elif event.kind == EVENT_REFUNDED:
            line.refunded = True
        elif event.kind == EVENT_PARTLY_REFUNDED:
            line.part_minor = event.amount_minor
    return lines


def _line(event: ProviderEvent) -> Line:
    at: datetime = event.at
    return Line(
        event.charge_id, at, event.currency, payment_id=event.payment_id, user_id=event.user_id
    )
