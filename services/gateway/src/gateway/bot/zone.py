"""/timezone: where the person lives, so that nobody is reminded at night."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from contracts.vpn import SetAccessOptions
from gateway.bot.callbacks import OpenedPage, Tapped
from gateway.bot.pages import show
from gateway.domain import callbacks
from gateway.domain.access_buttons import SetZone
from gateway.domain.callbacks import OpenPage
from gateway.domain.screen import Say, Screen
from gateway.domain.screens import menu, zones
from gateway.ports import Shop, Turn

router = Router(name="zone")


@router.message(Command("timezone", ignore_mention=True))
async def zone_command(
    _message: Message, command: CommandObject, turn: Turn, shop: Shop, say: Say, zone: ZoneInfo
) -> None:
    """With a name behind it that zone is taken; Telegram tells nobody's zone."""
    wanted = (command.args or "").strip()
    if not wanted:
        turn.reply(zones.choose(say, turn.uow.now, zone))
    elif wanted in available_timezones():
        turn.reply(await _set(wanted, turn, shop, say, now=zone))
    else:
        turn.reply(menu.page(say, "zone-unknown"))


@router.callback_query(OpenedPage(callbacks.ZONE))
async def zone_button(
    query: CallbackQuery, tap: OpenPage, turn: Turn, say: Say, zone: ZoneInfo
) -> None:
    show(turn, query, zones.choose(say, turn.uow.now, zone), fresh=tap.fresh)


@router.callback_query(Tapped(SetZone))
async def set_zone(
    query: CallbackQuery, tap: SetZone, turn: Turn, shop: Shop, say: Say, zone: ZoneInfo
) -> None:
    if tap.zone not in available_timezones():
        turn.toast(say("toast-old-button"))
        return
    show(turn, query, await _set(tap.zone, turn, shop, say, now=zone))


async def _set(zone: str, turn: Turn, shop: Shop, say: Say, *, now: ZoneInfo) -> Screen:
    if not await shop.people.set_zone(turn.uow, turn.person.user_id, zone):
        return zones.chosen(say, turn.uow.now, now)
    person = turn.person
    turn.uow.emit(
        SetAccessOptions(user_id=person.user_id, time_zone=zone, language=person.language)
    )
    return zones.chosen(say, turn.uow.now, ZoneInfo(zone))
