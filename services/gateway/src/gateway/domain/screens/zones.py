"""Time zones to choose from, each with the time it is there."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.domain.access_buttons import SetZone
from gateway.domain.callbacks import pack
from gateway.domain.moments import clock_time
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button

OFFERED = (
    *("America/Los_Angeles", "America/New_York", "Europe/London", "Europe/Berlin"),
    *("Europe/Kaliningrad", "Europe/Moscow", "Europe/Istanbul", "Europe/Samara"),
    *("Asia/Dubai", "Asia/Yekaterinburg", "Asia/Almaty", "Asia/Omsk"),
    *("Asia/Novosibirsk", "Asia/Krasnoyarsk", "Asia/Irkutsk", "Asia/Shanghai"),
    *("Asia/Yakutsk", "Asia/Tokyo", "Asia/Vladivostok", "Asia/Kamchatka"),
)
_IN_A_ROW = 2


def choose(say: Say, now: datetime, current: ZoneInfo) -> Screen:
    buttons = [
        Button(f"{_city(name)} {clock_time(now, ZoneInfo(name))}", pack(SetZone(name)))
        for name in OFFERED
    ]
    rows = [tuple(buttons[at : at + _IN_A_ROW]) for at in range(0, len(buttons), _IN_A_ROW)]
    text = say("zone-choose", zone=current.key, time=clock_time(now, current))
    return Screen(text=text, buttons=(*rows, (menu_button(say),)))


def chosen(say: Say, now: datetime, zone: ZoneInfo) -> Screen:
    text = say("zone-set", zone=zone.key, time=clock_time(now, zone))
    return Screen(text=text, buttons=((menu_button(say),),))


def _city(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ")
