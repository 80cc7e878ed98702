"""Messages about what people are given: promo codes, the daily draw, gifts and referrals."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from contracts.envelope import Command, Event, LockKey, Reply, Request
from contracts.ids import UserId
from contracts.money import Credits

PROMO_CREDITS = "credits"
PROMO_DISCOUNT = "discount"
PROMO_TIER = "tier"


class SavePromo(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Make or replace a promo code. `value`: credits, percent, or days of `tier`."""

    subject: ClassVar[str] = "billing.cmd.save_promo.v1"

    code: str
    kind: str
    value: int
    actor: str
    tier: str = ""
    uses_max: int = 0
    """0: no limit. One per person always."""
    newcomers_only: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    lot_days: int = 0
    """Granted credits expire after so many days; 0: never."""
    approved_by: str = ""
    """It gives so much that a second person has to agree: who did."""


class RedeemPromo(Command, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.cmd.redeem_promo.v1"

    user_id: UserId
    code: str

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class TakeDraw(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Draw a day's lot, once a shop day. `day`: the one whose seal the person saw; None: today."""

    subject: ClassVar[str] = "billing.cmd.take_draw.v1"

    user_id: UserId
    day: date | None = None

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class MakeGift(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Set paid credits aside for whoever opens the gift's link first."""

    subject: ClassVar[str] = "billing.cmd.make_gift.v1"

    gift_id: UUID
    user_id: UserId
    credits: Credits

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class OpenGift(Command, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.cmd.open_gift.v1"

    user_id: UserId
    code: str

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class PromoSaved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A promo code is as an operator wants it; `used`: how often it was redeemed so far."""

    subject: ClassVar[str] = "billing.evt.promo_saved.v1"

    code: str
    kind: str
    value: int
    actor: str
    tier: str = ""
    used: int = 0
    uses_max: int = 0


class PromoRedeemed(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.promo_redeemed.v1"

    user_id: UserId
    code: str
    kind: str
    value: int
    tier: str = ""
    available_credits: Credits = Credits(0)


class PromoRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.promo_refused.v1"

    user_id: UserId
    code: str
    reason: str


class DrawTaken(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`commitment` is the SHA-256 of the day's seed, published before; the seed follows after."""

    subject: ClassVar[str] = "billing.evt.draw_taken.v1"

    user_id: UserId
    day: date
    prize: str
    percent: int
    valid_until: datetime
    commitment: str
    repeated: bool = False
    """It had been drawn before today: this is what was won."""


class GiftMade(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.gift_made.v1"

    gift_id: UUID
    user_id: UserId
    credits: Credits
    code: str
    expires_at: datetime
    available_credits: Credits = Credits(0)


class GiftRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Neither made nor opened (`reason`)."""

    subject: ClassVar[str] = "billing.evt.gift_refused.v1"

    user_id: UserId
    reason: str
    available_credits: Credits | None = None
    gift_id: UUID | None = None
    """None: a code that is no gift's was tried."""


class GiftOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.gift_opened.v1"

    gift_id: UUID
    user_id: UserId
    giver_id: UserId
    credits: Credits
    available_credits: Credits = Credits(0)


class GiftReturned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody opened it in time, or the money for it goes back: its credits are back."""

    subject: ClassVar[str] = "billing.evt.gift_returned.v1"

    gift_id: UUID
    user_id: UserId
    credits: Credits
    withdrawn: bool = False
    """The payment it was made of is being given back."""


class ReferralJoined(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody new came by this person's link."""

    subject: ClassVar[str] = "billing.evt.referral_joined.v1"

    user_id: UserId
    newcomer_id: UserId
    newcomer_credits: Credits = Credits(0)


class ReferralEarned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A newcomer's payment outlived the hold period: the referrer's part was credited."""

    subject: ClassVar[str] = "billing.evt.referral_earned.v1"

    user_id: UserId
    newcomer_id: UserId
    credits: Credits


class LotExpiring(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Credits will expire soon; said once per lot."""

    subject: ClassVar[str] = "billing.evt.lot_expiring.v1"

    user_id: UserId
    lot: str
    credits: Credits
    expires_at: datetime


class GetRewards(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.rewards"

    user_id: UserId


class Rewards(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What a person sees on the draw and referral screens."""

    referral_code: str
    invited: int = 0
    earned_credits: Credits = Credits(0)
    pending_credits: Credits = Credits(0)
    """Earned, and still inside the hold period."""
    draw_day: date | None = None
    draw_prize: str = ""
    """Today's prize; empty: not drawn yet."""
    draw_percent: int = 0
    draw_used: bool = False
    draw_commitment: str = ""
    """SHA-256 of today's seed, which is told when the day is over."""
    next_commitment: str = ""
    """The same of tomorrow's, published before tomorrow begins."""
    draw_valid_until: datetime | None = None


class GetDrawProof(Request, frozen=True, kw_only=True, omit_defaults=True):
    """What it takes to check a past day's draw by hand."""

    subject: ClassVar[str] = "billing.rpc.draw_proof"

    user_id: UserId
    day: date


class DrawProof(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The prize is HMAC-SHA256(seed, "<user_id>:<day>"); `seed` is empty until the day is over."""

    day: date
    commitment: str = ""
    seed: str = ""
    prize: str = ""
    percent: int = 0
