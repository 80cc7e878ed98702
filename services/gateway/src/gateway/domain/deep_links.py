"""What `/start <payload>` may carry: whose link it was, a promo code, or a gift."""

from __future__ import annotations

REFERRAL = "ref_"
PROMO = "promo_"
GIFT = "gift_"
