"""Asks Telegram about Stars: refunds, renewals, and the statement of what was booked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.gateway import StarsTransaction
from contracts.ids import UserId
from gateway.adapters.telegram import BlockedError, RejectedError, Telegram, ThrottledError
from gateway.ports import StarsRefusedError, StatementPage

PAGE_LINES = 100
CODE_MAX = 64
_DONE = "CHARGE_ALREADY_REFUNDED"
_INVOICES = "invoice_payment"
Silence = Callable[[timedelta], Awaitable[None]]


class _User(msgspec.Struct):
    id: UserId


class _Partner(msgspec.Struct):
    type: str = ""
    transaction_type: str = _INVOICES
    user: _User | None = None
    invoice_payload: str = ""

    @property
    def paid_an_invoice(self) -> bool:
        """Gifts, withdrawals and paid media are booked too, and are none of the shop's sales."""
        return self.type == "user" and self.transaction_type == _INVOICES and self.user is not None


class _Line(msgspec.Struct):
    id: str
    amount: int
    date: int
    source: _Partner | None = None
    receiver: _Partner | None = None


class TelegramStars:
    """Implements ports.Stars. A 429 silences the whole bot, as one for a message does."""

    def __init__(self, telegram: Telegram, silence: Silence) -> None:
        self._telegram = telegram
        self._silence = silence

    async def refund(self, user_id: UserId, charge_id: str) -> None:
        try:
            await self._call(
                "refundStarPayment",
                {"user_id": user_id, "telegram_payment_charge_id": charge_id},
            )
        except StarsRefusedError as error:
            if error.code != _DONE.lower():
                raise

    async def edit_subscription(self, user_id: UserId, charge_id: str, *, cancelled: bool) -> None:
        await self._call(
            "editUserStarSubscription",
            {
                "user_id": user_id,
                "telegram_payment_charge_id": charge_id,
                "is_canceled": cancelled,
            },
        )

    async def statement(self, offset: int) -> StatementPage:
        result = await self._call("getStarTransactions", {"offset": offset, "limit": PAGE_LINES})
        lines = msgspec.convert(result["transactions"], list[_Line])
        booked = (_transaction(line) for line in lines)
        return StatementPage(
            transactions=tuple(each for each in booked if each is not None),
            count=len(lines),
            last=len(lines) < PAGE_LINES,
        )

    async def _call(self, method: str, body: dict[str, Any]) -> Any:
        try:
            return await self._telegram.call(method, body)
        except ThrottledError as error:
            if error.retry_after is not None:
                await self._silence(error.retry_after)
            raise
        except RejectedError as error:
            raise StarsRefusedError(_code(error.description)) from None
        except BlockedError as error:
            raise StarsRefusedError(_code(str(error))) from None


def _code(description: str) -> str:
    """`Bad Request: CHARGE_NOT_FOUND` as a code."""
    words = description.rpartition(":")[2].split()
    return "_".join(words).lower()[:CODE_MAX]


def _transaction(line: _Line) -> StarsTransaction | None:
    partner, sign = (line.source, 1) if line.source is not None else (line.receiver, -1)
    if partner is None or not partner.paid_an_invoice:
        return None
    assert partner.user is not None, "an invoice is paid by a user"
    return StarsTransaction(
        charge_id=line.id,
        amount_minor=sign * line.amount,
        at=datetime.fromtimestamp(line.date, UTC),
        user_id=partner.user.id,
        invoice_payload=partner.invoice_payload,
    )
