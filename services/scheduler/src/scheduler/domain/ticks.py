"""Recurring hints: which there are, and what is made of one that is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from contracts import billing, gateway, payments, vpn
from contracts.envelope import Command
from contracts.scheduler import CATCH_UP_COALESCE, CATCH_UP_FIRE, CATCH_UP_SKIP

LATE_SHARE = 0.5
"""A tick that skips does so once it is later than this part of its period."""


class Kind(msgspec.Struct, frozen=True):
    """The command a tick sends, and with which others it coalesces."""

    command: Callable[..., Command]
    group: str = ""


KINDS: Mapping[str, Kind] = {
    "renew_trials": Kind(billing.RenewTrials),
    "run_audit": Kind(billing.RunAudit),
    "sweep_media": Kind(gateway.SweepMedia),
    "watch_payments": Kind(payments.WatchPayments),
    "read_stars_statement": Kind(gateway.ReadStarsStatement),
    "sweep_subscriptions": Kind(vpn.SweepSubscriptions),
    "renew_subscriptions": Kind(vpn.RenewSubscriptions),
    "send_reminders": Kind(vpn.SendReminders),
    "converge_nodes": Kind(vpn.ReconcileNodes, group="nodes"),
    "reconcile_nodes": Kind(vpn.ReconcileNodes, group="nodes"),
    "check_nodes": Kind(vpn.CheckNodes),
}


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How often a tick comes, and its catch-up."""

    every: timedelta
    catch_up: str = CATCH_UP_FIRE


class DueTick(msgspec.Struct, frozen=True):
    """A tick that was claimed; `period` decides when it is due again."""

    name: str
    period: timedelta
    due_at: datetime


def next_due(due_at: datetime, period: timedelta, now: datetime) -> datetime:
    """Return the first multiple of the period after `now`, counted from `due_at`."""
    if due_at > now:
        return due_at
    missed = (now - due_at) // period
    return due_at + period * (missed + 1)


def fired(
    due: Sequence[DueTick], terms: Mapping[str, Terms], now: datetime
) -> list[tuple[DueTick, Command]]:
    """Return the ticks that fire, with what they send: each once, however many were missed."""
    chosen = [tick for tick in due if not _too_late(tick, terms[tick.name], now)]
    newest: dict[str, datetime] = {}
    for tick in chosen:
        if group := _group(tick, terms):
            newest[group] = max(newest.get(group, tick.due_at), tick.due_at)
    sent = []
    for tick in chosen:
        group = _group(tick, terms)
        if group and newest.pop(group, None) != tick.due_at:
            continue
        sent.append((tick, command(tick.name, tick.due_at)))
    return sent


def command(name: str, due_at: datetime) -> Command:
    """Return the command a tick sends; whoever gets it judges by its own rows what is due."""
    return KINDS[name].command(due_at=due_at)


def _group(tick: DueTick, terms: Mapping[str, Terms]) -> str:
    return KINDS[tick.name].group if terms[tick.name].catch_up == CATCH_UP_COALESCE else ""


def _too_late(tick: DueTick, terms: Terms, now: datetime) -> bool:
    return terms.catch_up == CATCH_UP_SKIP and now - tick.due_at > terms.every * LATE_SHARE
