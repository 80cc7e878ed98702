"""The terms of what people are given: promo codes, the daily draw, gifts, referrals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from contracts.money import CREDITS_MAX, PERCENT_MAX, Credits

DRAW_PERCENT: Mapping[str, int] = MappingProxyType({"SSR": 50, "SR": 30, "R": 15, "C": 5})
NOTHING = timedelta(0)
GIFT_LEAST = Credits(1)
GIFT_MOST = Credits(10_000)
REFERRAL_CAP = Credits(5_000)
NEWCOMER_CREDITS = Credits(10)


@dataclass(frozen=True, slots=True)
class PromoTerms:
    discount_valid: timedelta = timedelta(days=30)
    """How long a discount a code gave can be used, unless the code itself ends earlier."""
    wrong_max: int = 10
    wrong_within: timedelta = timedelta(hours=1)
    """Whoever tried so many unknown codes within this time tries no more until it has passed."""


@dataclass(frozen=True, slots=True)
class DrawTerms:
    percent: Mapping[str, int] = field(default_factory=lambda: DRAW_PERCENT)
    """What each prize takes off; how likely each is stands in domain/draws.py and never varies."""


@dataclass(frozen=True, slots=True)
class GiftTerms:
    valid: timedelta = timedelta(days=30)
    least_credits: Credits = GIFT_LEAST
    most_credits: Credits = GIFT_MOST


@dataclass(frozen=True, slots=True)
class ReferralTerms:
    """`percent` of each of a newcomer's first payments, up to `cap_credits` per referrer."""

    percent: int = 10
    payments_max: int = 3
    cap_credits: Credits = REFERRAL_CAP
    hold: timedelta = timedelta(days=21)
    """A reward waits so long: a payment refunded meanwhile earns nothing."""
    newcomer_credits: Credits = NEWCOMER_CREDITS
    lot_days: int = 90
    """Credits given for a referral expire after so many days; 0: never."""

    def lot_expiry(self, now: datetime) -> datetime | None:
        return now + timedelta(days=self.lot_days) if self.lot_days else None


@dataclass(frozen=True, slots=True)
class RewardTerms:
    promo: PromoTerms = field(default_factory=PromoTerms)
    draw: DrawTerms = field(default_factory=DrawTerms)
    gift: GiftTerms = field(default_factory=GiftTerms)
    referral: ReferralTerms = field(default_factory=ReferralTerms)
    warn_before: timedelta = timedelta(days=3)
    """How long before paid or bonus credits expire their owner is told."""


def problems(terms: RewardTerms) -> list[str]:
    """What makes no sense in the terms, each with its field; empty: nothing."""
    promo, draw, gift, referral = terms.promo, terms.draw, terms.gift, terms.referral
    rules = {
        "promo.discount_valid: must be above 0": promo.discount_valid > NOTHING,
        "promo.wrong_max, wrong_within: must be above 0": promo.wrong_max > 0
        and promo.wrong_within > NOTHING,
        f"draw.percent: one each for {', '.join(DRAW_PERCENT)}": set(draw.percent)
        == set(DRAW_PERCENT),
        "draw.percent: 1 to 100": all(1 <= each <= PERCENT_MAX for each in draw.percent.values()),
        "referral.percent: 0 to 100": 0 <= referral.percent <= PERCENT_MAX,
        "gift.valid: must be above 0": gift.valid > NOTHING,
        "gift.least_credits: 1 to most_credits": 1 <= gift.least_credits <= gift.most_credits,
        "gift.most_credits: too many": gift.most_credits <= CREDITS_MAX,
        "referral.payments_max, lot_days: at least 0": referral.payments_max >= 0
        and referral.lot_days >= 0,
        "referral.cap_credits, newcomer_credits: at least 0, not too many": (
            0 <= referral.cap_credits <= CREDITS_MAX
            and 0 <= referral.newcomer_credits <= CREDITS_MAX
        ),
        "referral.hold: must not be negative": referral.hold >= NOTHING,
        "warn_before: must be above 0": terms.warn_before > NOTHING,
    }
    return [problem for problem, holds in rules.items() if not holds]
