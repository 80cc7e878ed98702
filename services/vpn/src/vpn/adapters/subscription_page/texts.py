"""The page's words, en and ru, and how it says numbers of days and bytes.

Here and not with gateway's texts, because no service reads another's files.
"""

from __future__ import annotations

from typing import Final

from vpn.domain.formats.words import FALLBACK, LANGUAGES

BYTES: Final = 1024
FEW: Final = range(2, 5)
TEENS: Final = range(11, 15)

TEXTS: Final = {
    "en": {
        "works": "Works",
        "grace": "Works a little longer",
        "stopped": "Does not work",
        "plan": "Plan",
        "until": "Until",
        "traffic": "Traffic",
        "unlimited": "no limit",
        "of": "of",
        "connect": "1. Choose your app",
        "connect_hint": "Get the app first, then add the link to it.",
        "add": "Add",
        "get": "Get",
        "by_hand": "2. Or by hand",
        "copy": "Copy the link",
        "copied": "Copied",
        "copy_failed": "Press and hold the link to copy it",
        "qr": "QR code for another device",
        "servers": "Servers",
        "support": "Support",
        "secret": "The link is your key: give it to nobody.",
        "link": "Your link",
        "language": "Language",
        "units": "B KB MB GB TB",
    },
    "ru": {
        "works": "Работает",
        "grace": "Ещё немного работает",
        "stopped": "Не работает",
        "plan": "Тариф",
        "until": "До",
        "traffic": "Трафик",
        "unlimited": "без ограничений",
        "of": "из",
        "connect": "1. Выберите приложение",
        "connect_hint": "Сначала установите приложение, затем добавьте в него ссылку.",
        "add": "Добавить",
        "get": "Скачать",
        "by_hand": "2. Или вручную",
        "copy": "Скопировать ссылку",
        "copied": "Скопировано",
        "copy_failed": "Нажмите на ссылку и удерживайте, чтобы скопировать",
        "qr": "QR-код для другого устройства",
        "servers": "Серверы",
        "support": "Поддержка",
        "secret": "Ссылка — это ваш ключ: никому её не давайте.",
        "link": "Ваша ссылка",
        "language": "Язык",
        "units": "Б КБ МБ ГБ ТБ",
    },
}
assert tuple(TEXTS) == LANGUAGES


def days(number: int, language: str) -> str:
    if language != "ru":
        return f"{number} day left" if number == 1 else f"{number} days left"
    last = number % 10
    if number % 100 in TEENS or not (last == 1 or last in FEW):
        return f"Осталось {number} дней"
    return f"Остался {number} день" if last == 1 else f"Осталось {number} дня"


def size(number: int, language: str) -> str:
    units = TEXTS.get(language, TEXTS[FALLBACK])["units"].split()
    amount = float(number)
    for unit in units:
        if amount < BYTES or unit == units[-1]:
            digits = 0 if unit == units[0] else 1
            text = f"{amount:.{digits}f}".removesuffix(".0")
            return f"{text.replace('.', ',') if language == 'ru' else text} {unit}"
        amount /= BYTES
    raise AssertionError


def choose_language(asked: str, accept_language: str, known: str) -> str:
    """The one of the switch, else the browser's favourite that there is, else the person's own."""
    if asked in LANGUAGES:
        return asked
    wanted: list[tuple[float, str]] = []
    for part in accept_language[:256].split(","):
        name, _, weight = part.strip().partition(";q=")
        base = name.strip().split("-")[0].lower()
        if base in LANGUAGES:
            wanted.append((_weight(weight), base))
    best = max(wanted, key=lambda each: each[0], default=(0.0, ""))
    if best[0] > 0:
        return best[1]
    return known if known in LANGUAGES else FALLBACK


def _weight(text: str) -> float:
    if not text:
        return 1.0
    try:
        return float(text)
    except ValueError:
        return 0.0
