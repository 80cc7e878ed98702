from __future__ import annotations

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.vpn import CAUSE_OPTIONS, STATE_ENDED, SetAccessOptions
from vpn.domain import reminders
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.ports import Books

log = logs.get("vpn.access")


async def set_access_options(
    command: SetAccessOptions, uow: UnitOfWork, *, books: Books, terms: Terms
) -> None:
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
