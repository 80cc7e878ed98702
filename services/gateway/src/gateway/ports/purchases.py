"""Payments: the screens that may become one, and what is asked of Telegram's Stars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from contracts.gateway import StarsTransaction
from contracts.ids import PaymentId, UserId
from gateway.domain.checkout import Checkout

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork


class Checkouts(Protocol):
    """The rows of the payment screens people were shown: one row is at most one payment."""

    async def add(self, uow: UnitOfWork, checkout: Checkout) -> None: ...

    async def find(self, uow: UnitOfWork, checkout_id: PaymentId) -> Checkout | None:
        """The row, locked until the commit."""
        ...

    async def save(self, uow: UnitOfWork, checkout: Checkout) -> None:
        """Write what may change: method and state."""
        ...


class StatementCursor(Protocol):
    """How many lines of Telegram's statement were read."""

    async def find(self, uow: UnitOfWork) -> int: ...

    async def advance(self, uow: UnitOfWork, *, to: int) -> None:
        """Never back: two ticks may read the same page."""
        ...


class StarsRefusedError(Exception):
    """Telegram will not do it, however often it is asked; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Some lines of the statement, oldest first. `count`: lines read, known kinds or not."""

    transactions: tuple[StarsTransaction, ...]
    count: int
    last: bool


class Stars(Protocol):
    """Telegram's own money. Every call may be made again: each says the same the second time.

    All raise TransientError (to be tried again), the first two StarsRefusedError.
    """

    async def refund(self, user_id: UserId, charge_id: str) -> None:
        """Give a payment back; one that was given back already is done."""
        ...

    async def edit_subscription(
        self, user_id: UserId, charge_id: str, *, cancelled: bool
    ) -> None: ...

    async def statement(self, offset: int) -> StatementPage:
        """Lines from `offset` on, where 0 is the bot's first."""
        ...
