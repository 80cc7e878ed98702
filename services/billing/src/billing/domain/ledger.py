"""The ledger: which credits may move between which accounts, and the transfer each move leaves."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from billing.domain import lots
from billing.domain.accounts import (
    AVAILABLE,
    BREAKAGE,
    DEBT,
    GIFTS,
    HELD,
    HOLD_EXPIRED,
    KIND_ADJUST,
    KIND_CREDIT_BACK,
    KIND_EXPIRE,
    KIND_GIFT,
    KIND_GIFT_BACK,
    KIND_GRANT,
    KIND_HOLD,
    KIND_POST,
    KIND_RESTORE,
    KIND_REVOKE,
    KIND_TRIAL,
    KIND_VOID,
    PENDING,
    POSTED,
    REVENUE,
    REVOCATIONS,
    SALES,
    VOIDED,
    WAITING,
    Account,
    Hold,
    Parts,
    Transfer,
    has_room,
)
from billing.domain.errors import InDebtError, InsufficientCreditsError, InvalidError
from billing.domain.lots import Lot
from contracts.billing import LOT_BONUS, LOT_PAID, LOT_TRIAL
from contracts.ids import OrderId, UserId
from contracts.money import CREDITS_MAX, NO_CREDITS, Credits

GRANTABLE = frozenset({LOT_BONUS, LOT_PAID})
"""What can be added by a grant; the one trial lot comes with the account."""
REOPENED_FOR = timedelta(hours=24)
"""How long credits that come back into an expired lot can be spent."""


class Ledger:
    """One sitting at the books at one moment: moves credits and remembers what must be recorded.

    Whoever loads accounts into it holds their locks.
    """

    def __init__(self, now: datetime, *, reopened_for: timedelta = REOPENED_FOR) -> None:
        self.now = now
        self.transfers: list[Transfer] = []
        self.accounts: dict[UserId, Account] = {}
        self.lots: dict[tuple[UserId, int], Lot] = {}
        self.opened: set[tuple[UserId, int]] = set()
        """The lots among them that did not exist before."""
        self._reopened_for = reopened_for
        self._spending: dict[UserId, tuple[Account, list[Lot]]] = {}

    def hold(
        self, account: Account, order_id: OrderId, amount: Credits, expires_at: datetime
    ) -> Hold:
        """Set `amount` aside. Raises InDebtError or InsufficientCreditsError, moving nothing."""
        spendable = self._spendable(account)
        if account.debt:
            raise InDebtError(available_credits=account.available, debt_credits=account.debt)
        if amount > account.available:
            raise InsufficientCreditsError(available_credits=account.available)
        self.accounts[account.user_id] = account
        account.in_flight += 1
        parts = []
        wanted = amount
        for lot in spendable:
            if not wanted:
                break
            taken = min(lot.remaining, wanted)
            if taken:
                self._move(account, lot, (AVAILABLE, HELD), taken, KIND_HOLD, order_id=order_id)
                parts.append((lot.number, taken))
                wanted = Credits(wanted - taken)
        assert wanted == 0, "lots and balance differ"
        return Hold(order_id, account.user_id, amount, expires_at, PENDING, tuple(parts))

    def post(self, account: Account, hold: Hold) -> None:
        """The order was fulfilled: what was held is spent."""
        self._end(account, hold, POSTED)
        for number, amount in hold.parts:
            lot = lots.unseen(number)
            self._move(account, lot, (HELD, REVENUE), amount, KIND_POST, order_id=hold.order_id)

    def void(self, account: Account, hold: Hold, reason: str, *, expired: bool = False) -> None:
        """Nobody is charged: what was held returns to its lots, after the debt, if there is one."""
        self._end(account, hold, HOLD_EXPIRED if expired else VOIDED)
        source = HELD, KIND_VOID, reason
        hold.debt_paid = self._return(account, hold.parts, source, order_id=hold.order_id)

    def credit_back(
        self, account: Account, order_id: OrderId, parts: Parts, reason: str
    ) -> Credits:
        """Unspend: `parts` return to their lots, after the debt. Returns what the debt took."""
        return self._return(account, parts, (REVENUE, KIND_CREDIT_BACK, reason), order_id=order_id)

    def grant(
        self,
        account: Account,
        kind: str,
        amount: Credits,
        *,
        expires_at: datetime | None = None,
        reason: str = "",
    ) -> tuple[Lot, Credits]:
        """Open a lot with `amount`, after paying debt. Returns the lot and the debt paid.

        Raises InvalidError for an unknown kind, an amount or expiry that makes no sense.
        """
        if kind not in GRANTABLE:
            raise InvalidError(f"nobody is granted {kind[:20]}")
        if amount < 1 or not has_room(account, amount):
            raise InvalidError("the amount is outside the limits")
        if expires_at is not None and expires_at <= self.now:
            raise InvalidError("the credits would have expired already")
        lot = self._open(account, kind, amount, expires_at)
        source = SALES if kind == LOT_PAID else GIFTS
        owed = self._pour(account, lot, (source, KIND_GRANT, reason), amount)
        if kind == LOT_PAID:
            account.trial_renews_at = None
        return lot, owed

    def revoke(self, account: Account, number: int, amount: Credits, reason: str) -> Credits:
        """Take back what a lot's grant gave (refund, charge-back). Returns what became debt.

        It is taken from that lot, then from the other live ones; never below zero.
        """
        self.expire_lots(account)
        self.accounts[account.user_id] = account
        revoked = account.lots[number]
        others = [lot for lot in account.lots.values() if lot is not revoked]
        order = (revoked, *lots.in_spend_order(others))
        parts = self._take(account, order, amount, (REVOCATIONS, KIND_REVOKE, reason))
        wanted = _left(amount, parts)
        if wanted:
            self._move(account, revoked, (DEBT, REVOCATIONS), wanted, KIND_REVOKE, reason=reason)
        if not revoked.remaining:
            revoked.state = lots.REVOKED
        self.lots[account.user_id, number] = revoked
        return wanted

    def give(self, account: Account, amount: Credits, reason: str) -> Parts:
        """Set paid credits aside as a gift; nothing else can be given. Returns where it was from.

        Raises InDebtError, or InsufficientCreditsError with the paid credits there are.
        """
        self.expire_lots(account)
        paid = [lot for lot in lots.in_spend_order(account.lots.values()) if lot.kind == LOT_PAID]
        giveable = Credits(sum(lot.remaining for lot in paid))
        if account.debt:
            raise InDebtError(available_credits=giveable, debt_credits=account.debt)
        if amount > giveable:
            raise InsufficientCreditsError(available_credits=giveable)
        self.accounts[account.user_id] = account
        return self._take(account, paid, amount, (WAITING, KIND_GIFT, reason))

    def receive(self, account: Account, amount: Credits, reason: str) -> None:
        """Open a gift: it stays paid credits, and is no payment of whoever opens it."""
        if not has_room(account, amount):
            raise InvalidError("the amount is outside the limits")
        self.expire_lots(account)
        lot = self._open(account, LOT_PAID, amount, None)
        self._pour(account, lot, (WAITING, KIND_GIFT, reason), amount)

    def take_back(self, account: Account, parts: Parts, reason: str) -> None:
        """Nobody opened a gift: it returns to the lots it came from, as a voided hold does."""
        self._return(account, parts, (WAITING, KIND_GIFT_BACK, reason))

    def restore(
        self, account: Account, number: int, parts: Parts, debt: Credits, reason: str
    ) -> None:
        """Give back what a revoke of lot `number` took: `parts` of lots, and what became debt.

        Debt is paid first, as by any credit; a lot that was closed meanwhile opens again.
        """
        source = REVOCATIONS, KIND_RESTORE, reason
        self._return(account, (*parts, (number, debt)), source)

    def adjust(self, account: Account, amount: Credits, reason: str) -> Credits:
        """Add credits by hand, or take them (negative); what is not there becomes debt.

        Returns the debt made. Raises InvalidError for an amount that makes no sense.
        """
        after = account.available + account.held + amount
        if amount == 0 or after > CREDITS_MAX or after - account.debt < -CREDITS_MAX:
            raise InvalidError("the amount is outside the limits")
        self.expire_lots(account)
        self.accounts[account.user_id] = account
        if amount > 0:
            lot = self._open(account, LOT_BONUS, amount, None)
            self._pour(account, lot, (GIFTS, KIND_ADJUST, reason), amount)
            return NO_CREDITS
        taken = Credits(-amount)
        order = lots.in_spend_order(account.lots.values())
        parts = self._take(account, order, taken, (REVOCATIONS, KIND_ADJUST, reason))
        made = _left(taken, parts)
        if made:
            route = DEBT, REVOCATIONS
            self._move(account, lots.unseen(0), route, made, KIND_ADJUST, reason=reason)
        return made

    def spend(self, account: Account, amount: Credits, kind: str, reason: str) -> None:
        """Charge at once what needs no hold. Raises as `hold` does, moving nothing."""
        self.expire_lots(account)
        if account.debt:
            raise InDebtError(available_credits=account.available, debt_credits=account.debt)
        if amount > account.available:
            raise InsufficientCreditsError(available_credits=account.available)
        self.accounts[account.user_id] = account
        order = lots.in_spend_order(account.lots.values())
        self._take(account, order, amount, (REVENUE, kind, reason))

    def expire_lots(self, account: Account) -> Credits:
        """Close the lots whose time has passed; what was left in them is gone."""
        expired = NO_CREDITS
        for lot in account.lots.values():
            if lot.state == lots.OPEN and not lot.is_live(self.now):
                if lot.remaining:
                    expired = Credits(expired + lot.remaining)
                    self._move(account, lot, (AVAILABLE, BREAKAGE), lot.remaining, KIND_EXPIRE)
                lot.state = lots.EXPIRED
                self.accounts[account.user_id] = account
                self.lots[account.user_id, lot.number] = lot
        return expired

    def open_trial(self, account: Account, amount: Credits, period: timedelta) -> None:
        """Give the first trial credits; they are renewed when they expire."""
        if amount:
            account.trial_renews_at = self.now + period
            lot = self._open(account, LOT_TRIAL, amount, account.trial_renews_at)
            self._move(account, lot, (GIFTS, AVAILABLE), amount, KIND_TRIAL)

    def renew_trial(
        self, account: Account, amount: Credits, period: timedelta, pending: Sequence[Hold] = ()
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
        missing = Credits(amount - lot.remaining)
        if missing > 0:
            self._pour(account, lot, (GIFTS, KIND_TRIAL, ""), missing)
        if missing < 0:
            over = Credits(-missing)
            self._move(account, lot, (AVAILABLE, BREAKAGE), over, KIND_EXPIRE)
        return True

    def _spendable(self, account: Account) -> list[Lot]:
        """The lots in the order they are spent in; looked through once, for there may be many."""
        owner, order = self._spending.get(account.user_id, (None, []))
        if owner is not account:
            self.expire_lots(account)
            order = lots.in_spend_order(account.lots.values())
            self._spending[account.user_id] = account, order
        return order

    def _open(
        self, account: Account, kind: str, amount: Credits, expires_at: datetime | None
    ) -> Lot:
        self.accounts[account.user_id] = account
        account.lots_opened += 1
        lot = Lot(account.lots_opened, kind, amount, NO_CREDITS, expires_at)
        account.lots[lot.number] = lot
        if account.user_id in self._spending:
            insort(self._spending[account.user_id][1], lot, key=lots.spend_key)
        self.lots[account.user_id, lot.number] = lot
        self.opened.add((account.user_id, lot.number))
        return lot

    def _end(self, account: Account, hold: Hold, state: str) -> None:
        assert hold.state == PENDING, "a hold ends once"
        hold.state = state
        account.in_flight -= 1
        self.accounts[account.user_id] = account

    def _return(
        self,
        account: Account,
        parts: Parts,
        source: tuple[str, str, str],
        *,
        order_id: OrderId | None = None,
    ) -> Credits:
        """Pour parts back into the lots they came from; return what the debt took of them."""
        # First, or what had expired in a lot would come back to life with the returned part.
        self.expire_lots(account)
        self.accounts[account.user_id] = account
        owed = [
            self._pour(account, account.lots[number], source, amount, order_id=order_id)
            for number, amount in parts
        ]
        return Credits(sum(owed))

    def _pour(
        self,
        account: Account,
        lot: Lot,
        source: tuple[str, str, str],
        amount: Credits,
        *,
        order_id: OrderId | None = None,
    ) -> Credits:
        """Move credits from (debit, kind, reason) into a lot, after the debt; return what it took.

        A lot that is no longer live lives on for a while with what came back into it.
        """
        debit, kind, reason = source
        owed = min(account.debt, amount)
        for credit, part in ((DEBT, owed), (AVAILABLE, Credits(amount - owed))):
            if part:
                route = debit, credit
                self._move(account, lot, route, part, kind, order_id=order_id, reason=reason)
        if amount > owed and not lot.is_live(self.now):
            self._reopen(lot)
            self._spending.pop(account.user_id, None)
        # A restored lot may get more: what was held of it while its debt was paid by others.
        lot.granted = max(lot.granted, lot.remaining)
        return owed

    def _take(
        self,
        account: Account,
        order: Iterable[Lot],
        amount: Credits,
        target: tuple[str, str, str],
    ) -> Parts:
        """Move credits out of lots, one after another, to (credit, kind, reason)."""
        credit, kind, reason = target
        parts: list[tuple[int, Credits]] = []
        for lot in order:
            taken = min(lot.remaining, _left(amount, parts))
            if taken:
                self._move(account, lot, (AVAILABLE, credit), taken, kind, reason=reason)
                parts.append((lot.number, taken))
        return tuple(parts)

    def _reopen(self, lot: Lot) -> None:
        lot.state = lots.OPEN
        if lot.expires_at is not None and lot.expires_at <= self.now:
            lot.expires_at = self.now + self._reopened_for

    def _move(
        self,
        account: Account,
        lot: Lot,
        route: tuple[str, str],
        amount: Credits,
        kind: str,
        *,
        order_id: OrderId | None = None,
        reason: str = "",
    ) -> None:
        debit, credit = route
        for side, signed in ((debit, -amount), (credit, amount)):
            if side == AVAILABLE:
                account.available = Credits(account.available + signed)
                lot.remaining = Credits(lot.remaining + signed)
            elif side == HELD:
                account.held = Credits(account.held + signed)
            elif side == DEBT:
                account.debt = Credits(account.debt - signed)
        if AVAILABLE in route:
            self.lots[account.user_id, lot.number] = lot
        account.transfers += 1
        owner, number = account.user_id, account.transfers
        self.transfers.append(
            Transfer(owner, number, lot.number, debit, credit, amount, kind, order_id, reason)
        )


def _left(amount: Credits, parts: Iterable[tuple[int, Credits]]) -> Credits:
    return Credits(amount - sum(part for _, part in parts))
