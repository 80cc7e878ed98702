"""Turns text, parse_mode and entities of a call into what a message carries; keeps the limits."""

import re
from typing import Any

from simulators.telegram.errors import bad_request
from simulators.telegram.html_markup import Entity, parse_html, utf16_length
from simulators.telegram.markdown_markup import parse_markdown, parse_markdown_v2
from simulators.telegram.params import Params

TEXT_MAX = 4_096
CAPTION_MAX = 1_024
PARSERS = {"html": parse_html, "markdownv2": parse_markdown_v2, "markdown": parse_markdown}

# What Telegram marks by itself in any text.
AUTOMATIC = re.compile(
    r"(?P<url>https?://[^\s<>\"]*[^\s<>\".,;:!?)\]']"
    r"|(?<![\w.@/-])(?:[\w-]+\.)+(?:com|org|net|me|io|dev|app|ru)\b(?:/[^\s<>\"]*[^\s<>\".,;:!?)])?)"
    r"|(?P<email>[\w.+-]+@(?:[\w-]+\.)+[a-z]{2,})"
    r"|(?<![\w/])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?)(?![\w/])"
    r"|(?<![\w@])(?P<mention>@[A-Za-z]\w{2,31})"
    r"|(?<!\w)(?P<hashtag>#[^\W\d_]\w*)"
)
OPAQUE = {"code", "pre", "text_link"}


def automatic_entities(text: str, taken: list[Entity] | None = None) -> list[Entity]:
    found: list[Entity] = []
    busy = [
        (entity["offset"], entity["offset"] + entity["length"])
        for entity in taken or []
        if entity["type"] in OPAQUE
    ]
    for match in AUTOMATIC.finditer(text):
        offset = utf16_length(text[: match.start()])
        length = utf16_length(match.group())
        if any(start < offset + length and offset < end for start, end in busy):
            continue
        found.append({"type": match.lastgroup, "offset": offset, "length": length})
    return found


def read_text(
    values: Params | dict[str, Any], name: str, limit: int, *, entities_name: str
) -> tuple[str, list[Entity]]:
    """The text of a parameter (or of an InputMedia object) with its entities."""
    params = values if isinstance(values, Params) else Params(values)
    text = params.text(name)
    mode = params.text("parse_mode").lower()
    given = params.decoded(entities_name, "entities")
    if given is None and mode and mode not in PARSERS:
        raise bad_request("unsupported parse_mode")
    entities: list[Entity] = []
    if given is not None:
        entities = _checked(given)
    elif mode:
        text, entities = PARSERS[mode](text)
    text, entities = _strip(text, entities)
    if utf16_length(text) > limit:
        raise bad_request(
            "message is too long" if limit == TEXT_MAX else "message caption is too long"
        )
    entities += automatic_entities(text, entities)
    entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return text, entities


def _checked(given: Any) -> list[Entity]:
    if not isinstance(given, list):
        raise bad_request("can't parse entities JSON object")
    for entity in given:
        if not isinstance(entity, dict) or not {"type", "offset", "length"} <= entity.keys():
            raise bad_request("can't parse MessageEntity: object expected")
    return [dict(entity) for entity in given]


def _strip(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    stripped = text.strip()
    if len(stripped) == len(text):
        return text, entities
    cut = utf16_length(text[: len(text) - len(text.lstrip())])
    end = utf16_length(stripped)
    moved = []
    for entity in entities:
        start = max(entity["offset"] - cut, 0)
        stop = min(entity["offset"] + entity["length"] - cut, end)
        if stop > start:
            moved.append({**entity, "offset": start, "length": stop - start})
    return stripped, moved
