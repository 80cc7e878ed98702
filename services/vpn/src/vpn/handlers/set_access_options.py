from __future__ import annotations

import msgspec

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from contracts.vpn import CAUSE_OPTIONS, STATE_ENDED, SetAccessOptions
from vpn.domain import reminders
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books

log = logs.get("vpn.access")
OPTIONS = frozenset(SetAccessOptions.__struct_fields__) - {"user_id"}


def _word(option: str, user_id: UserId) -> str:
    return f"{option}:{user_id}"


def auto_renew_word(user_id: UserId) -> str:
    """What is said about whether a person's access renews itself."""
    return _word("auto_renew", user_id)


async def set_access_options(
    command: SetAccessOptions, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
    command = await _last_words(command, uow)
    zone = command.time_zone
    if zone and reminders.zone_of(zone) is None:
        log.warning("time_zone_unknown", user_id=command.user_id)
        zone = None
    await books.subscriptions.save_person(
        uow.connection,
        command.user_id,
        reminders=command.reminders,
        time_zone=zone,
        language=command.language,
    )
    desk = await Desk.open(uow, books, terms, [command.user_id])
    one = desk.found.get(command.user_id)
    if one is None or one.state == STATE_ENDED:
        return
    if command.auto_renew is not None and command.auto_renew != one.auto_renew:
        one.auto_renew = command.auto_renew
        # Switched on again, a period that was given up may be tried again.
        one.renew_for = None
        desk.changed(one, CAUSE_OPTIONS)
    else:
        desk.touched(one, CAUSE_OPTIONS)
    desk.look_after(one)
    await desk.close()


async def _last_words(command: SetAccessOptions, uow: UnitOfWork) -> SetAccessOptions:
    """The command without what was chosen anew since it was sent."""
    overtaken = {
        name: None
        for name, chosen in msgspec.structs.asdict(command).items()
        if name in OPTIONS and chosen is not None
        if not await uow.is_last_word(_word(name, command.user_id))
    }
    return msgspec.structs.replace(command, **overtaken) if overtaken else command
