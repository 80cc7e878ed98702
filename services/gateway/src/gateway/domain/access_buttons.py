"""The buttons of VPN access, and their data: which plan, which option, a new key or not."""

from __future__ import annotations

import re
from dataclasses import dataclass

AUTO_RENEW = "renew"
REMINDERS = "remind"
_OPTIONS = frozenset({AUTO_RENEW, REMINDERS})
_ON, _OFF = "on", "off"
_ASK, _DO, _LINK_TOO = "ask", "do", "both"
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{1,47}")


@dataclass(frozen=True, slots=True)
class ChooseAccess:
    """Show what a plan, the trial or a traffic package costs."""

    plan_id: str


@dataclass(frozen=True, slots=True)
class ReplaceKey:
    """Replace the key, or key and link; without `confirmed` it is asked which is meant."""

    confirmed: bool
    link_too: bool = False


@dataclass(frozen=True, slots=True)
class SetOption:
    """Switch renewals or reminders on or off."""

    option: str
    on: bool


@dataclass(frozen=True, slots=True)
class SetZone:
    """The person's time zone, by its IANA name."""

    zone: str


_REPLACEMENTS = {
    _ASK: ReplaceKey(confirmed=False),
    _DO: ReplaceKey(confirmed=True),
    _LINK_TOO: ReplaceKey(confirmed=True, link_too=True),
}
AccessTap = ChooseAccess | ReplaceKey | SetOption | SetZone


def parts(tap: AccessTap) -> tuple[str, str]:
    """The prefix and the rest of a button's data."""
    match tap:
        case ChooseAccess(plan_id=plan_id):
            return "va", plan_id
        case ReplaceKey(confirmed=True, link_too=link_too):
            return "vk", _LINK_TOO if link_too else _DO
        case ReplaceKey():
            return "vk", _ASK
        case SetOption(option=option, on=on):
            return "vo", f"{option}:{_ON if on else _OFF}"
        case SetZone(zone=zone):
            return "vz", zone


def read(prefix: str, rest: str) -> AccessTap | None:
    """What such a button means; None: it is not one of these, or it is cut or forged."""
    if prefix == "va":
        return ChooseAccess(rest) if rest else None
    if prefix == "vk":
        return _REPLACEMENTS.get(rest)
    if prefix == "vo":
        option, _, value = rest.partition(":")
        known = option in _OPTIONS and value in {_ON, _OFF}
        return SetOption(option, value == _ON) if known else None
    if prefix == "vz":
        return SetZone(rest) if _ZONE.fullmatch(rest) else None
    return None
