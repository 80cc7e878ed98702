"""grant_credits: add credits for one named reason, once per `grant_key`.

Hot: orders_and_grants takes it a whole batch at a time, and calls what is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from billing.domain.accounts import Account
from billing.domain.errors import (
    AlreadyGrantedError,
    InvalidError,
    NoAccountError,
    SameIdOtherBodyError,
)
from billing.domain.ledger import Ledger
from billing.handlers import announce
from billing.ports import Grant
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import CreditsGranted, GrantCredits
from contracts.errors import RefusalError
from contracts.ids import UserId

log = logs.get("billing.grants")
KEY_MAX = 200
OUR_OWN = ("credit:", "bonus:", "newcomer:", "referral:", "promo:")
"""Keys the shop makes itself. Given by hand they would name money that never came, or stand in
the way of who is to be given something under them: a key can stand once."""


def decide(
    each: Received[Any],
    uow: UnitOfWork,
    ledger: Ledger,
    accounts: Mapping[UserId, Account],
    known: dict[str, Grant],
) -> tuple[Grant, int, str] | None:
    """Add credits and say so. Returns (grant, lot number, actor) to record; None: rejected."""
    command: GrantCredits = each.message
    grant = _grant_of(command)
    try:
        _check(grant, known)
        account = accounts.get(command.user_id)
        if account is None:
            raise NoAccountError
        lot, owed = ledger.grant(
            account,
            grant.kind,
            grant.credits,
            expires_at=grant.expires_at,
            reason=grant.reason,
        )
    except RefusalError as error:
        announce.rejected(uow, each, error)
        return None
    known[grant.key] = grant
    event = CreditsGranted(
        user_id=grant.user_id,
        credits=grant.credits,
        lot=grant.kind,
        reason=grant.reason,
        debt_paid_credits=owed,
        grant_key=grant.key,
    )
    uow.emit(event, traceparent=each.traceparent)
    log.info("credits_granted", user_id=grant.user_id, credits=grant.credits)
    return grant, lot.number, command.actor


def _grant_of(command: GrantCredits) -> Grant:
    return Grant(
        command.grant_key,
        command.user_id,
        command.lot,
        command.credits,
        command.expires_at,
        command.reason,
    )


def _check(grant: Grant, known: dict[str, Grant]) -> None:
    if not 1 <= len(grant.key) <= KEY_MAX:
        raise InvalidError("a grant needs a key")
    if grant.key.startswith(OUR_OWN):
        raise InvalidError("such keys are the shop's own")
    before = known.get(grant.key)
    if before is not None:
        raise AlreadyGrantedError if before == grant else SameIdOtherBodyError
