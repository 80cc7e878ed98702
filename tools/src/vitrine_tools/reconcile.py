"""`vitrine reconcile`: what payment providers say of a period beside what billing recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from rich.table import Table

from chassis import rpc
from chassis.broker import Broker
from chassis.errors import TransientError
from contracts import operators
from contracts.operators import Difference, Reconciled, Reconciliation
from vitrine_tools import screen
from vitrine_tools.money import MoneyError
from vitrine_tools.screen import plain

ANSWER_WITHIN = timedelta(minutes=5)
"""Providers list a period page by page."""
WORDS = {
    operators.RECONCILED_MISSING_WITH_US: "paid there, unknown to us",
    operators.RECONCILED_MISSING_THERE: "ours, unknown there",
    operators.RECONCILED_OTHER_AMOUNT: "another amount",
    operators.RECONCILED_REFUND_MISSING_WITH_US: "given back there, not with us",
    operators.RECONCILED_REFUND_MISSING_THERE: "given back with us, not there",
    operators.RECONCILED_PARTLY_REFUNDED: "a part was given back there",
}


async def reconcile(
    broker: Broker, provider: str, since: datetime, until: datetime, *, as_json: bool
) -> bool:
    """Print the comparison. Returns whether everything agrees."""
    request = operators.Reconcile(provider=provider, since=since, until=until)
    try:
        found = await rpc.request(broker, request, Reconciliation, timeout=ANSWER_WITHIN)
    except rpc.RpcFailedError as error:
        raise MoneyError(f"billing refused the question: {plain(error)}") from error
    except TransientError as error:
        raise MoneyError("billing does not answer: is it running?") from error
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        print(screen.plain_lines(text))
    else:
        _show(found)
    return not any(each.differences or each.code for each in found.providers)


def _show(found: Reconciliation) -> None:
    console = screen.wide_console()
    summary = Table("provider", "matched", "given back", "differences", "statement")
    for each in found.providers:
        back = _sums(each.refunds, each.refunded_minor) if each.states_refunds else "not stated"
        summary.add_row(
            plain(each.provider),
            plain(_sums(each.matched, each.matched_minor)),
            plain(back),
            str(len(each.differences) + each.cut),
            plain(_statement(each)),
        )
    console.print(summary)
    if any(each.differences for each in found.providers):
        console.print(_differences(found))
    for each in found.providers:
        if each.cut:
            provider = plain(each.provider)
            console.print(f"{provider}: {each.cut} more; choose a shorter period")


def _statement(each: Reconciled) -> str:
    if each.code:
        return f"could not be compared: {each.code}"
    return f"read until {each.read_until:%Y-%m-%d %H:%M} UTC" if each.read_until else "asked now"


def _differences(found: Reconciliation) -> Table:
    table = Table("when (UTC)", "provider", "what", "ours", "theirs", "user", "state")
    table.add_column("charge", min_width=36)
    for each in found.providers:
        for one in each.differences:
            table.add_row(
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                plain(each.provider),
                plain(WORDS.get(one.kind, one.kind)),
                plain(_amount(one, one.ours_minor)),
                plain(_amount(one, one.theirs_minor)),
                str(one.user_id or "-"),
                plain(one.state or "-"),
                plain(one.charge_id),
            )
    return table


def _amount(one: Difference, minor: int | None) -> str:
    return "-" if minor is None else f"{minor} {one.currency}"


def _sums(count: int, minor: Mapping[str, int]) -> str:
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in sorted(minor.items()))
    return f"{count} ({amounts})" if amounts else str(count)
