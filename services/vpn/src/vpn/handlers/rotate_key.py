from __future__ import annotations

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.vpn import CAUSE_REVOKED, RotateKey
from vpn.domain import access
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books

log = logs.get("vpn.access")


async def rotate_key(command: RotateKey, uow: UnitOfWork, *, books: Books, terms: Terms) -> None:
    """Replace the key; `key_rotated` follows when nodes have confirmed."""
    desk = await Desk.open(uow, books, terms, [command.user_id])
    one = desk.found.get(command.user_id)
    if one is None or one.key is None:
        log.info("nothing_to_rotate", user_id=command.user_id)
        return
    access.rotate(one, books.make_credentials(), link_too=command.link_too)
    desk.touched(one, CAUSE_REVOKED)
    await desk.close()
    await books.desired.rotated(uow.connection, one, link_too=command.link_too, now=uow.now)
    uow.after_commit(books.wake)
