"""What an app's list of servers says when nothing passes, in the person's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vpn.domain.links import (
    REASON_APP,
    REASON_DEVICES,
    REASON_EXPIRED,
    REASON_NO_NODES,
    REASON_SUSPENDED,
    REASON_TRAFFIC,
)

LANGUAGES: Final = ("en", "ru")
FALLBACK: Final = "en"
GRACE: Final = "grace"

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        REASON_EXPIRED: "⛔ Access has ended. Renew it in the bot",
        REASON_SUSPENDED: "⛔ Access is paused. Ask support in the bot",
        REASON_TRAFFIC: "⛔ All traffic is used. Add some in the bot",
        REASON_DEVICES: "⛔ Too many devices. Disconnect one of them",
        REASON_NO_NODES: "⏳ No server is free now. Refresh in a minute",
        REASON_APP: "⚠️ This app cannot use our servers. Open the link in a browser",
        GRACE: "Access has ended and works a little longer. Renew it in the bot",
    },
    "ru": {
        REASON_EXPIRED: "⛔ Доступ закончился. Продлите его в боте",
        REASON_SUSPENDED: "⛔ Доступ приостановлен. Напишите в поддержку",
        REASON_TRAFFIC: "⛔ Трафик закончился. Добавьте его в боте",
        REASON_DEVICES: "⛔ Слишком много устройств. Отключите одно",
        REASON_NO_NODES: "⏳ Свободных серверов нет. Обновите через минуту",
        REASON_APP: "⚠️ Приложение не подходит. Откройте ссылку в браузере",
        GRACE: "Доступ закончился и ещё немного работает. Продлите его в боте",
    },
}


def say(reason: str, language: str) -> str:
    return WORDS.get(language, WORDS[FALLBACK])[reason]
