"""grant_credits: add credits for one named reason, once per `grant_key`."""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain.errors import (
    AlreadyGrantedError,
    InvalidError,
    NoAccountError,
    SameIdOtherBodyError,
)
from billing.domain.ledger import Ledger
from billing.handlers import announce
from billing.ports import Books, Grant
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import CreditsGranted, GrantCredits
from contracts.errors import RefusalError

log = logs.get("billing.grants")
KEY_MAX = 200
OUR_OWN = ("credit:", "bonus:", "newcomer:", "referral:", "promo:")
"""Keys the shop makes itself. Given by hand they would name money that never came, or stand in
the way of who is to be given something under them: a key can stand once."""


async def grant_credits(
    received: Sequence[Received[GrantCredits]], uow: UnitOfWork, *, books: Books
) -> None:
    commands = [each.message for each in received]
    connection = uow.connection
    known = await books.grants.find(connection, [command.grant_key for command in commands])
    accounts = await books.accounts.load(connection, [command.user_id for command in commands])
    ledger = Ledger(uow.now)
    made = []
    for each in received:
        command = each.message
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
            continue
        known[grant.key] = grant
        made.append((grant, lot.number, command.actor))
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
    await books.grants.add(connection, made, uow.now)
    await books.accounts.save(connection, ledger)


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
