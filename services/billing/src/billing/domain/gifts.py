"""Gifts: credits waiting for whoever opens their link first."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.domain.accounts import Account, Parts
from billing.domain.errors import GiftOverError, GiftOwnError, GiftUnknownError, InvalidError
from billing.domain.ledger import Ledger
from billing.domain.reward_terms import GiftTerms
from contracts.ids import UserId
from contracts.money import Credits

WAITING = "waiting"
OPENED = "opened"
RETURNED = "returned"
SECRET_BYTES = 16
"""128 bits: nobody finds a gift's code by trying."""
_CODE = re.compile(r"[A-Z2-7]{26}")


@dataclass(slots=True)
class Gift:
    """`parts` are the giver's lots it was taken from, and where it returns unopened."""

    gift_id: UUID
    code: str
    giver_id: UserId
    credits: Credits
    parts: Parts
    made_at: datetime
    expires_at: datetime
    state: str = WAITING
    opened_by: UserId | None = None


def code_of(secret: bytes) -> str:
    """A code people can carry in a link: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def normal(code: str) -> str:
    """A code as it is kept; empty for what can be none."""
    code = code.strip().upper()
    return code if _CODE.fullmatch(code) else ""


def make(
    ledger: Ledger, account: Account, gift_id: UUID, amount: Credits, code: str, terms: GiftTerms
) -> Gift:
    """Take paid credits for it. Raises InvalidError, InDebtError or InsufficientCreditsError."""
    if not terms.least_credits <= amount <= terms.most_credits:
        raise InvalidError("the amount is outside the limits")
    parts = ledger.give(account, amount, _reason(gift_id))
    expires_at = ledger.now + terms.valid
    return Gift(gift_id, code, account.user_id, amount, parts, ledger.now, expires_at)


def open_(ledger: Ledger, account: Account, gift: Gift | None) -> Gift:
    """Give it to the account. Raises GiftUnknownError, GiftOverError or GiftOwnError."""
    if gift is None:
        raise GiftUnknownError
    if gift.state != WAITING or gift.expires_at <= ledger.now:
        raise GiftOverError
    if gift.giver_id == account.user_id:
        raise GiftOwnError
    ledger.receive(account, gift.credits, _reason(gift.gift_id))
    gift.state, gift.opened_by = OPENED, account.user_id
    return gift


def take_back(ledger: Ledger, account: Account, gift: Gift) -> bool:
    """Return an expired gift to its lots. False: it was opened, or is not over yet."""
    if gift.state != WAITING or gift.expires_at > ledger.now:
        return False
    ledger.take_back(account, gift.parts, _reason(gift.gift_id))
    gift.state = RETURNED
    return True


def withdraw(ledger: Ledger, account: Account, gift: Gift) -> None:
    """The money it was made of goes back to its payer: so does the gift, though not over yet."""
    ledger.take_back(account, gift.parts, _reason(gift.gift_id))
    gift.state = RETURNED


def _reason(gift_id: UUID) -> str:
    return f"gift:{gift_id}"
