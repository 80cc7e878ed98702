"""What an app is told when nothing passes, or beside what does, in the person's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vpn.domain.links import (
    NOTE_DEVICES,
    NOTE_GRACE,
    REASON_APP,
    REASON_EXPIRED,
    REASON_NO_NODES,
    REASON_SUSPENDED,
    REASON_TRAFFIC,
)

LANGUAGES: Final = ("en", "ru")
FALLBACK: Final = "en"

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        REASON_EXPIRED: "⛔ Access has ended. Renew it in the bot",
        REASON_SUSPENDED: "⛔ Access is paused. Ask support in the bot",
        REASON_TRAFFIC: "⛔ All traffic is used. Add some in the bot",
        REASON_NO_NODES: "⏳ No server is free now. Refresh in a minute",
        REASON_APP: "⚠️ This app cannot use our servers. Open the link in a browser",
        NOTE_GRACE: "Access has ended and works a little longer. Renew it in the bot",
        NOTE_DEVICES: "More devices use it than your plan has. Please disconnect one",
    },
    "ru": {
        REASON_EXPIRED: "⛔ Доступ закончился. Продлите его в боте",
        REASON_SUSPENDED: "⛔ Доступ приостановлен. Напишите в поддержку",
        REASON_TRAFFIC: "⛔ Трафик закончился. Добавьте его в боте",
        REASON_NO_NODES: "⏳ Свободных серверов нет. Обновите через минуту",
        REASON_APP: "⚠️ Приложение не подходит. Откройте ссылку в браузере",
        NOTE_GRACE: "Доступ закончился и ещё немного работает. Продлите его в боте",
        NOTE_DEVICES: "Устройств больше, чем в вашем тарифе. Отключите одно, пожалуйста",
    },
}


def say(what: str, language: str) -> str:
    """A reason or a note, vpn.domain.links REASON_* or NOTE_*."""
    return WORDS.get(language, WORDS[FALLBACK])[what]
