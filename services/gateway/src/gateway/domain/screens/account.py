"""What a person has and what moved: balance and history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from contracts.billing import (
    TIER_NONE,
    Balance,
    CreditsGranted,
    History,
    HistoryEntry,
    LotBalance,
    TierSet,
    TrialRenewed,
)
from contracts.money import Credits
from gateway.domain import callbacks
from gateway.domain.callbacks import OpenHistory, OpenPage, pack
from gateway.domain.moments import moment
from gateway.domain.money import money
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button

_MINUS = "−"
_KINDS = frozenset(
    {
        *("hold", "post", "void", "expire", "grant", "trial", "revoke"),
        *("restore", "adjust", "plan", "gift", "gift_back", "credit_back", "free"),
    }
)
_GRANTS = frozenset({"payment", "payment_bonus", "promo", "referral", "newcomer", "gift"})
"""Grants that a person knows by what they did."""
_TIER_LINES = {"payment": "history-tier-paid", "promo": "history-tier-promo"}
_TIERS = frozenset({"vip", "black_gold"})
_LOTS = frozenset({"trial", "bonus", "paid"})


def balance(say: Say, held: Balance, zone: ZoneInfo) -> Screen:
    lines = [
        say("balance-available", credits=held.available_credits),
        say("balance-held", credits=held.held_credits),
        say("balance-spent-today", credits=held.spent_today_credits),
    ]
    if held.debt_credits:
        lines.append(say("balance-debt", credits=held.debt_credits))
    if held.tier != TIER_NONE:
        lines.append(tier_line(say, held.tier, held.tier_until, zone))
    lots = [_lot(say, lot, zone) for lot in held.lots if lot.remaining_credits]
    text = "\n".join([say("balance-title"), *lines])
    if lots:
        text = "\n".join([text, "", say("balance-lots"), *lots])
    more = Button(say("button-top-up"), pack(OpenPage(callbacks.TOP_UP)))
    last = (Button(say("button-history"), pack(OpenHistory())), menu_button(say))
    return Screen(text=text, buttons=((more,), last))


def tier_line(say: Say, tier: str, until: datetime | None, zone: ZoneInfo) -> str:
    name = tier_name(say, tier)
    if until is None:
        return say("tier-endless", tier=name)
    return say("tier-until", tier=name, until=moment(say, until, zone))


def tier(say: Say, event: TierSet, zone: ZoneInfo) -> Screen:
    """Told when the status changes."""
    if event.tier == TIER_NONE:
        text = say("tier-ended")
    else:
        text = say("tier-given", line=tier_line(say, event.tier, event.until, zone))
    return Screen(text=text, buttons=_balance_row(say))


def granted(say: Say, event: CreditsGranted) -> Screen:
    lines = [say("credits-granted", credits=event.credits)]
    if event.debt_paid_credits:
        lines.append(say("credits-granted-debt", credits=event.debt_paid_credits))
    return Screen(text="\n".join(lines), buttons=_balance_row(say))


def trial_renewed(say: Say, event: TrialRenewed, zone: ZoneInfo) -> Screen:
    until = moment(say, event.expires_at, zone)
    text = say("trial-renewed", credits=event.credits, until=until)
    return Screen(text=text, buttons=_balance_row(say))


def _balance_row(say: Say) -> tuple[tuple[Button, ...], ...]:
    data = pack(OpenPage(callbacks.BALANCE, fresh=True))
    return ((Button(say("button-balance"), data),),)


def lot_name(say: Say, lot: str) -> str:
    """A kind of credits this release does not know keeps its wire name."""
    return say(f"lot-{lot}") if lot in _LOTS else escape(lot)


def tier_name(say: Say, tier: str) -> str:
    """A tier this release does not know keeps its wire name."""
    return say(f"tier-{tier.replace('_', '-')}") if tier in _TIERS else escape(tier)


def plan_name(say: Say, tier: str, *, days: int) -> str:
    """Without a tier: the screen it was bought on, or the offer, is long gone."""
    if not tier:
        return say("plan-unnamed")
    if not days:
        return tier_name(say, tier)
    return say("plan-name", tier=tier_name(say, tier), days=days)


def _lot(say: Say, lot: LotBalance, zone: ZoneInfo) -> str:
    name = lot_name(say, lot.lot)
    if lot.expires_at is None:
        return say("lot-endless", credits=lot.remaining_credits, lot=name)
    until = moment(say, lot.expires_at, zone)
    return say("lot-until", credits=lot.remaining_credits, lot=name, until=until)


def history(
    say: Say, entries: History, *, titles: Mapping[str, str], zone: ZoneInfo, newest: bool
) -> Screen:
    """`titles`: what each workflow is called in this person's language."""
    if not entries.entries:
        text = say("history-empty") if newest else say("history-end")
    else:
        lines = [_entry(say, entry, titles, zone) for entry in entries.entries]
        text = "\n".join([say("history-title"), "", *lines])
    pages = []
    if not newest:
        pages.append(Button(say("button-newest"), pack(OpenHistory())))
    if entries.next_before:
        pages.append(Button(say("button-older"), pack(OpenHistory(entries.next_before))))
    last = (Button(say("button-balance"), pack(OpenPage(callbacks.BALANCE))), menu_button(say))
    return Screen(text=text, buttons=(*((tuple(pages),) if pages else ()), last))


def _entry(say: Say, entry: HistoryEntry, titles: Mapping[str, str], zone: ZoneInfo) -> str:
    if entry.kind in {"tier", "discount"}:
        return _gain(say, entry, zone)
    if entry.kind == "refund":
        return _refund(say, entry, zone)
    line = say(
        f"history-{_words(entry)}",
        plan=plan_name(say, entry.tier, days=entry.days),
        percent=entry.percent,
        credits=entry.amount_credits,
        signed=signed(Credits(entry.credits + entry.debt_credits)),
        at=moment(say, entry.at, zone),
    )
    if entry.debt_credits:
        key = "history-debt-paid" if entry.debt_credits > 0 else "history-debt-made"
        line = say(key, line=line, credits=abs(entry.debt_credits))
    title = titles.get(entry.workflow_id, escape(entry.workflow_id))
    if entry.percent and entry.kind == "hold":
        line = say("history-cheaper", line=line, percent=entry.percent)
    return f"{line} · {title}" if title else line


def _refund(say: Say, entry: HistoryEntry, zone: ZoneInfo) -> str:
    """A plan whose money went back; of a pack the credits that were taken are the line."""
    line = say(
        "history-refund",
        plan=plan_name(say, entry.tier, days=entry.days),
        price=money(entry.amount_minor, entry.currency),
        at=moment(say, entry.at, zone),
    )
    if not entry.taken_days:
        return line
    return say("history-refund-taken", line=line, days=entry.taken_days)


def _gain(say: Say, entry: HistoryEntry, zone: ZoneInfo) -> str:
    """A status or a discount that came or went."""
    at = moment(say, entry.at, zone)
    if entry.kind == "discount":
        key = "history-drawn" if entry.reason == "draw" else "history-discount"
        return say(key, percent=entry.percent, at=at)
    if entry.tier == TIER_NONE:
        return say("history-tier-none", at=at)
    tier = tier_name(say, entry.tier)
    if entry.until is None:
        return say("history-tier-endless", tier=tier, at=at)
    until = moment(say, entry.until, zone)
    return say(_TIER_LINES.get(entry.reason, "history-tier"), tier=tier, until=until, at=at)


def _words(entry: HistoryEntry) -> str:
    if entry.kind == "grant" and entry.reason in _GRANTS:
        return f"grant-{entry.reason.replace('_', '-')}"
    if entry.kind == "gift" and entry.credits + entry.debt_credits > 0:
        return "grant-gift"
    return entry.kind.replace("_", "-") if entry.kind in _KINDS else "other"


def signed(amount: Credits) -> str:
    """A sign on every amount, so that a page of history reads as what went in and out."""
    if amount > 0:
        return f"+{amount}"
    return f"{_MINUS}{-amount}" if amount < 0 else "0"
