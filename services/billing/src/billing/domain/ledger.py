"""The ledger: which credits may move between which accounts, and the transfer each move leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from billing.domain import lots
from billing.domain.errors import InDebtError, InsufficientCreditsError, InvalidError
from billing.domain.lots import Lot
from contracts.billing import LOT_BONUS, LOT_PAID, LOT_TRIAL, TIER_NONE
from contracts.money import CREDITS_MAX

# The person's own accounts, and the house's. House accounts are never stored, only derived from
# transfers, so that no row of the database is hot.
AVAILABLE = "available"
HELD = "held"
DEBT = "debt"
SALES = "house:sales"
GIFTS = "house:gifts"
REVENUE = "house:revenue"
BREAKAGE = "house:breakage"
REVOCATIONS = "house:revocations"

KIND_HOLD = "hold"
KIND_POST = "post"
KIND_VOID = "void"
KIND_EXPIRE = "expire"
KIND_GRANT = "grant"
KIND_TRIAL = "trial"
KIND_REVOKE = "revoke"

PENDING = "pending"
POSTED = "posted"
VOIDED = "voided"
HOLD_EXPIRED = "expired"

GRANTABLE = frozenset({LOT_BONUS, LOT_PAID})
"""What can be added by a grant; the one trial lot comes with the account."""
REOPENED_FOR = timedelta(hours=24)
"""How long credits that come back into an expired lot can be spent."""


class Transfer(NamedTuple):
    """One immutable entry. `number` counts the account's transfers without gaps from 1."""

    user_id: int
    number: int
    lot: int
    debit: str
    credit: str
    amount: int
    kind: str
    order_id: UUID | None
    reason: str


@dataclass(slots=True)
class Account:
    """One person's balances; `available` is the sum of their lots, `held` of their holds."""

    user_id: int
    available: int = 0
    held: int = 0
    debt: int = 0
    in_flight: int = 0
    transfers: int = 0
    lots_opened: int = 0
    tier: str = TIER_NONE
    tier_until: datetime | None = None
    tier_version: int = 0
    trial_renews_at: datetime | None = None
    lots: dict[int, Lot] = field(default_factory=dict)


@dataclass(slots=True)
class Hold:
    """Credits set aside for one order: pending, then once posted, voided or expired.

    `parts` are the lots they came from: (lot number, amount).
    """

    order_id: UUID
    user_id: int
    amount: int
    expires_at: datetime
    state: str = PENDING
    parts: tuple[tuple[int, int], ...] = ()
    quota_day: date | None = None
    """The shop day whose free quota this hold uses, if it uses any."""


class Ledger:
    """One sitting at the books at one moment: moves credits and remembers what must be recorded.

    Whoever loads accounts into it holds their locks.
    """

    def __init__(self, now: datetime, *, reopened_for: timedelta = REOPENED_FOR) -> None:
        self.now = now
        self.transfers: list[Transfer] = []
        self.accounts: dict[int, Account] = {}
        self.lots: dict[tuple[int, int], Lot] = {}
        self.opened: set[tuple[int, int]] = set()
        """The lots among them that did not exist before."""
        self._reopened_for = reopened_for

    def hold(self, account: Account, order_id: UUID, amount: int, expires_at: datetime) -> Hold:
        """Set `amount` aside. Raises InDebtError or InsufficientCreditsError, moving nothing."""
        self.expire_lots(account)
        if account.debt:
            raise InDebtError(available_credits=account.available)
        if amount > account.available:
            raise InsufficientCreditsError(available_credits=account.available)
        self.accounts[account.user_id] = account
        account.in_flight += 1
        parts = []
        wanted = amount
        for lot in lots.in_spend_order(account.lots.values()) if amount else ():
            taken = min(lot.remaining, wanted)
            if taken:
                self._move(account, lot, (AVAILABLE, HELD), taken, KIND_HOLD, order_id=order_id)
                parts.append((lot.number, taken))
                wanted -= taken
        assert wanted == 0, "lots and balance differ"
        return Hold(order_id, account.user_id, amount, expires_at, PENDING, tuple(parts))

    def post(self, account: Account, hold: Hold) -> None:
        """The order was fulfilled: what was held is spent."""
        self._end(account, hold, POSTED)
        for number, amount in hold.parts:
            lot = account.lots.get(number) or _unseen(number)
            self._move(account, lot, (HELD, REVENUE), amount, KIND_POST, order_id=hold.order_id)

    def void(self, account: Account, hold: Hold, reason: str, *, expired: bool = False) -> None:
        """Nobody is charged: what was held returns to its lots, after the debt, if there is one."""
        # First, or what had expired in a lot would come back to life with the returned part.
        self.expire_lots(account)
        self._end(account, hold, HOLD_EXPIRED if expired else VOIDED)
        for number, amount in hold.parts:
            lot = account.lots[number]
            owed = min(account.debt, amount)
            for credit, part in ((DEBT, owed), (AVAILABLE, amount - owed)):
                if part:
                    self._move(
                        account,
                        lot,
                        (HELD, credit),
                        part,
                        KIND_VOID,
                        order_id=hold.order_id,
                        reason=reason,
                    )
            if amount > owed and not lot.is_live(self.now):
                self._reopen(lot)

    def grant(
        self,
        account: Account,
        kind: str,
        amount: int,
        *,
        expires_at: datetime | None = None,
        reason: str = "",
    ) -> tuple[Lot, int]:
        """Open a lot with `amount`, after paying debt. Returns the lot and the debt paid.

        Raises InvalidError for an unknown kind, an amount or expiry that makes no sense.
        """
        if kind not in GRANTABLE:
            raise InvalidError(f"nobody is granted {kind[:20]}")
        if amount < 1 or account.available + account.held + amount > CREDITS_MAX:
            raise InvalidError("the amount is outside the limits")
        if expires_at is not None and expires_at <= self.now:
            raise InvalidError("the credits would have expired already")
        lot = self._open(account, kind, amount, expires_at)
        source = SALES if kind == LOT_PAID else GIFTS
        owed = min(account.debt, amount)
        for credit, part in ((DEBT, owed), (AVAILABLE, amount - owed)):
            if part:
                self._move(account, lot, (source, credit), part, KIND_GRANT, reason=reason)
        if kind == LOT_PAID:
            account.trial_renews_at = None
        return lot, owed

    def revoke(self, account: Account, number: int, amount: int, reason: str) -> int:
        """Take back what a lot's grant gave (refund, charge-back). Returns what became debt.

        It is taken from that lot, then from the other live ones; never below zero.
        """
        self.expire_lots(account)
        self.accounts[account.user_id] = account
        revoked = account.lots[number]
        others = [lot for lot in account.lots.values() if lot is not revoked]
        wanted = amount
        for lot in (revoked, *lots.in_spend_order(others)):
            taken = min(lot.remaining, wanted)
            if taken:
                route = (AVAILABLE, REVOCATIONS)
                self._move(account, lot, route, taken, KIND_REVOKE, reason=reason)
                wanted -= taken
        if wanted:
            self._move(account, revoked, (DEBT, REVOCATIONS), wanted, KIND_REVOKE, reason=reason)
        if not revoked.remaining:
            revoked.state = lots.REVOKED
        self.lots[account.user_id, number] = revoked
        return wanted

    def expire_lots(self, account: Account) -> int:
        """Close the lots whose time has passed; what was left in them is gone."""
        expired = 0
        for lot in account.lots.values():
            if lot.state == lots.OPEN and not lot.is_live(self.now):
                if lot.remaining:
                    expired += lot.remaining
                    self._move(account, lot, (AVAILABLE, BREAKAGE), lot.remaining, KIND_EXPIRE)
                lot.state = lots.EXPIRED
                self.accounts[account.user_id] = account
                self.lots[account.user_id, lot.number] = lot
        return expired

    def open_trial(self, account: Account, amount: int, period: timedelta) -> None:
        """Give the first trial credits; they are renewed when they expire."""
        if amount:
            account.trial_renews_at = self.now + period
            lot = self._open(account, LOT_TRIAL, amount, account.trial_renews_at)
            self._move(account, lot, (GIFTS, AVAILABLE), amount, KIND_TRIAL)

    def renew_trial(
        self, account: Account, amount: int, period: timedelta, pending: Sequence[Hold] = ()
    ) -> bool:
        """Set the trial lot to `amount` again, never on top of it. False: not due after all.

        It waits for pending holds drawn from the lot: voided later, they would come on top.
        """
        if account.trial_renews_at is None or account.trial_renews_at > self.now:
            return False
        lot = next(lot for lot in account.lots.values() if lot.kind == LOT_TRIAL)
        if any(number == lot.number for hold in pending for number, _ in hold.parts):
            return False
        self.accounts[account.user_id] = account
        self.lots[account.user_id, lot.number] = lot
        lot.state = lots.OPEN
        lot.granted = amount
        lot.expires_at = account.trial_renews_at = self.now + period
        missing = amount - lot.remaining
        owed = min(account.debt, max(missing, 0))
        for credit, part in ((DEBT, owed), (AVAILABLE, missing - owed)):
            if part > 0:
                self._move(account, lot, (GIFTS, credit), part, KIND_TRIAL)
        if missing < 0:
            self._move(account, lot, (AVAILABLE, BREAKAGE), -missing, KIND_EXPIRE)
        return True

    def _open(self, account: Account, kind: str, amount: int, expires_at: datetime | None) -> Lot:
        self.accounts[account.user_id] = account
        account.lots_opened += 1
        lot = Lot(account.lots_opened, kind, amount, 0, expires_at)
        account.lots[lot.number] = lot
        self.lots[account.user_id, lot.number] = lot
        self.opened.add((account.user_id, lot.number))
        return lot

    def _end(self, account: Account, hold: Hold, state: str) -> None:
        assert hold.state == PENDING, "a hold ends once"
        hold.state = state
        account.in_flight -= 1
        self.accounts[account.user_id] = account

    def _reopen(self, lot: Lot) -> None:
        lot.state = lots.OPEN
        if lot.expires_at is not None and lot.expires_at <= self.now:
            lot.expires_at = self.now + self._reopened_for

    def _move(
        self,
        account: Account,
        lot: Lot,
        route: tuple[str, str],
        amount: int,
        kind: str,
        *,
        order_id: UUID | None = None,
        reason: str = "",
    ) -> None:
        debit, credit = route
        if debit == AVAILABLE:
            account.available -= amount
            lot.remaining -= amount
        elif debit == HELD:
            account.held -= amount
        elif debit == DEBT:
            account.debt += amount
        if credit == AVAILABLE:
            account.available += amount
            lot.remaining += amount
        elif credit == HELD:
            account.held += amount
        elif credit == DEBT:
            account.debt -= amount
        if AVAILABLE in route:
            self.lots[account.user_id, lot.number] = lot
        account.transfers += 1
        self.transfers.append(
            Transfer(
                account.user_id,
                account.transfers,
                lot.number,
                debit,
                credit,
                amount,
                kind,
                order_id,
                reason,
            )
        )


def _unseen(number: int) -> Lot:
    """A lot that need not be loaded: posting names it but changes nothing in it."""
    return Lot(number, LOT_TRIAL, 0, 0)


class Balances(NamedTuple):
    """What a replay of transfers ends with."""

    available: int
    held: int
    debt: int
    lots: dict[int, int]


def replay(transfers: Iterable[Transfer]) -> Balances:
    """Recompute one account from its transfers alone."""
    sums = {AVAILABLE: 0, HELD: 0, DEBT: 0}
    remaining: dict[int, int] = {}
    for transfer in transfers:
        if transfer.debit in sums:
            sums[transfer.debit] -= transfer.amount
        if transfer.credit in sums:
            sums[transfer.credit] += transfer.amount
        if AVAILABLE in (transfer.debit, transfer.credit):
            signed = transfer.amount if transfer.credit == AVAILABLE else -transfer.amount
            remaining[transfer.lot] = remaining.get(transfer.lot, 0) + signed
    return Balances(sums[AVAILABLE], sums[HELD], -sums[DEBT], remaining)
