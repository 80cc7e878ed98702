"""The daily draw: what can be won and how likely, what was won, and how to check it by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from contracts.ids import UserId
from contracts.rewards import DrawProof, DrawTaken, Rewards
from gateway.domain import callbacks
from gateway.domain.callbacks import CheckDraw, DrawNow, OpenPage, pack
from gateway.domain.moments import moment
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button

PRIZES = (("SSR", 5, 50), ("SR", 15, 30), ("R", 30, 15), ("C", 50, 5))
"""(prize, chance in percent, percent off), as design.md §1 promises them."""
_SHORT = 16
_CHECK = """\
import hashlib, hmac
seed = bytes.fromhex("{seed}")
print(hashlib.sha256(seed).hexdigest())
lot = hmac.digest(seed, b"{text}", "sha256")
print(int.from_bytes(lot[:8], "big") % 100)"""


def today(say: Say, rewards: Rewards, zone: ZoneInfo, *, midnight: datetime) -> Screen:
    """Before the draw the prizes and the seal; after it, what was won. `midnight`: the shop's."""
    day = rewards.draw_day
    if day is None:
        return Screen(
            text="\n".join([say("draw-title"), say("draw-not-ready")]),
            buttons=((menu_button(say),),),
        )
    if rewards.draw_prize:
        return _drawn(say, rewards, day, zone, midnight=midnight)
    odds = [
        say("draw-odds", prize=prize, chance=chance, percent=percent)
        for prize, chance, percent in PRIZES
    ]
    lines = [
        say("draw-title"),
        say("draw-about", until=moment(say, midnight, zone), zone=zone.key),
        "",
        *odds,
        "",
        *_seals(say, rewards),
    ]
    draw = Button(say("button-draw-now"), pack(DrawNow(day)))
    return Screen(text="\n".join(lines), buttons=((draw,), *_check_rows(say, day)))


def _drawn(say: Say, rewards: Rewards, day: date, zone: ZoneInfo, *, midnight: datetime) -> Screen:
    lines = [
        say("draw-title"),
        say("draw-already", prize=escape(rewards.draw_prize), percent=rewards.draw_percent),
        say("draw-used")
        if rewards.draw_used
        else _valid(say, rewards.draw_valid_until or midnight, zone),
        *_seals(say, rewards),
    ]
    return Screen(text="\n".join(lines), buttons=_check_rows(say, day))


def drawing(say: Say) -> Screen:
    """What is said until billing has drawn."""
    return Screen(text="\n".join([say("draw-title"), say("draw-drawing")]))


def taken(say: Say, event: DrawTaken, zone: ZoneInfo) -> Screen:
    key = "draw-already" if event.repeated else "draw-won"
    lines = [
        say("draw-title"),
        say(key, prize=escape(event.prize), percent=event.percent),
        _valid(say, event.valid_until, zone),
        _seal(say, event.commitment),
    ]
    photo = Button(say("button-photo"), pack(OpenPage(callbacks.PHOTO, fresh=True)))
    return Screen(text="\n".join(lines), buttons=((photo,), *_check_rows(say, event.day)))


def _valid(say: Say, until: datetime, zone: ZoneInfo) -> str:
    return say("draw-valid", until=moment(say, until, zone), zone=zone.key)


def _seal(say: Say, commitment: str) -> str:
    return say("draw-seal", seal=escape(commitment[:_SHORT]))


def _seals(say: Say, rewards: Rewards) -> list[str]:
    """Tomorrow's as well: so a seal is known before its day begins."""
    lines = [_seal(say, rewards.draw_commitment)]
    if rewards.next_commitment:
        lines.append(say("draw-seal-next", seal=escape(rewards.next_commitment[:_SHORT])))
    return lines


def _check_rows(say: Say, day: date) -> tuple[tuple[Button, ...], ...]:
    how = Button(say("button-draw-how"), pack(CheckDraw(day)))
    if day == date.min:
        return ((how,), (menu_button(say),))
    yesterday = Button(say("button-draw-yesterday"), pack(CheckDraw(day - timedelta(days=1))))
    return ((how, yesterday), (menu_button(say),))


def proof(say: Say, shown: DrawProof, user_id: UserId) -> Screen:
    """All it takes to draw again by hand; before the day is over, only the seal."""
    day, seal, seed = shown.day.isoformat(), escape(shown.commitment), escape(shown.seed)
    parts = [say("draw-proof-title", day=day)]
    if not seal:
        parts.append(say("draw-proof-unknown"))
    else:
        parts.append(say("draw-proof-seal", seal=seal))
    if seed:
        parts.append(say("draw-proof-seed", seed=seed))
        parts.append(_what_was_drawn(say, shown))
    elif seal:
        parts.append(say("draw-proof-later"))
    if seal:
        text = f"{user_id}:{day}"
        parts.append(say("draw-proof-how", text=text))
        if seed:
            code = escape(_CHECK.format(seed=shown.seed, text=text))
            parts.append(say("draw-proof-python", code=f"<pre>{code}</pre>"))
    back = Button(say("button-draw"), pack(OpenPage(callbacks.DRAW)))
    return Screen(text="\n\n".join(parts), buttons=((back, menu_button(say)),))


def _what_was_drawn(say: Say, shown: DrawProof) -> str:
    if not shown.prize:
        return say("draw-proof-none")
    return say("draw-proof-drew", prize=escape(shown.prize), percent=shown.percent)
