"""Referrals: who brought whom, and what part of a newcomer's payments they earn for it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from billing.domain.reward_terms import ReferralTerms
from contracts.ids import UserId
from contracts.money import NO_CREDITS, PERCENT_MAX, Credits

HELD = "held"
CREDITED = "credited"
CANCELLED = "cancelled"
CODE_BYTES = 5
_LINK = re.compile(r"ref_([A-Za-z2-7]{8})")


@dataclass(slots=True)
class Reward:
    """A referrer's part of one charge, held back until it can hardly be refunded."""

    provider: str
    charge_id: str
    referrer_id: UserId
    newcomer_id: UserId
    credits: Credits
    due_at: datetime
    state: str = HELD

    @property
    def grant_key(self) -> str:
        return f"referral:{self.provider}:{self.charge_id}"


def code_of(secret: bytes) -> str:
    """A referral code: eight characters of base32."""
    return base64.b32encode(secret).decode()


def code_in(deep_link: str) -> str:
    """The referral code a start link carries; empty where it carries none."""
    found = _LINK.fullmatch(deep_link)
    return found[1].upper() if found else ""


def part_of(paid: Credits, terms: ReferralTerms) -> Credits:
    """The referrer's part of a payment, rounded down."""
    return Credits(paid * terms.percent // PERCENT_MAX)


def within_cap(part: Credits, credited: Credits, terms: ReferralTerms) -> Credits:
    """What of a part still fits under the cap of all a referrer may earn."""
    return max(min(part, Credits(terms.cap_credits - credited)), NO_CREDITS)
