"""parse_mode=HTML: tags in, plain text and entities out; errors worded as the real ones."""

import html
import re
from dataclasses import dataclass
from typing import Any

from simulators.telegram.errors import ApiError, bad_request

Entity = dict[str, Any]

SIMPLE_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
}
OTHER_TAGS = {"a", "span", "blockquote", "tg-emoji"}

CHARACTER = re.compile(r"&(?:#x[0-9a-fA-F]+|#[0-9]+|lt|gt|amp|quot);?")
CLOSING = re.compile(r"</([^\s>]*)\s*>")
OPENING = re.compile(r"<([^\s>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
ATTRIBUTE = re.compile(r"([^\s=]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]*))?")
LANGUAGE_CLASS = "language-"


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def entities_error(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


@dataclass(slots=True)
class OpenTag:
    name: str
    entity: Entity | None
    start: int


class HtmlParser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.pieces: list[str] = []
        self.length = 0
        self.open: list[OpenTag] = []
        self.entities: list[Entity] = []

    def parse(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.source):
            sign = self.source[self.at]
            if sign == "&" and (found := CHARACTER.match(self.source, self.at)):
                self._put(html.unescape(found.group().rstrip(";") + ";"))
                self.at = found.end()
            elif self.source.startswith("</", self.at):
                self._close()
            elif sign == "<":
                self._open()
            else:
                self._put(sign)
                self.at += 1
        if self.open:
            tag = self.open[-1].name
            raise entities_error(f'Can\'t find end tag corresponding to start tag "{tag}"')
        return "".join(self.pieces), self.entities

    def _put(self, text: str) -> None:
        self.pieces.append(text)
        self.length += utf16_length(text)

    @property
    def _byte_offset(self) -> int:
        return len(self.source[: self.at].encode())

    def _open(self) -> None:
        found = OPENING.match(self.source, self.at)
        if found is None:
            raise entities_error(f"Unclosed start tag at byte offset {self._byte_offset}")
        name = found.group(1).lower()
        if name not in SIMPLE_TAGS and name not in OTHER_TAGS:
            raise entities_error(
                f'Unsupported start tag "{name}" at byte offset {self._byte_offset}'
            )
        attributes = {
            key.lower(): html.unescape(value.strip("\"'"))
            for key, value in ATTRIBUTE.findall(found.group(2))
        }
        self.open.append(OpenTag(name, self._entity(name, attributes), self.length))
        self.at = found.end()

    def _entity(self, name: str, attributes: dict[str, str]) -> Entity | None:
        if name == "a":
            return {"type": "text_link", "url": attributes.get("href", "")}
        if name == "span":
            if attributes.get("class") != "tg-spoiler":
                raise entities_error(
                    f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte_offset}'
                )
            return {"type": "spoiler"}
        if name == "blockquote":
            expandable = "expandable" in attributes
            return {"type": "expandable_blockquote" if expandable else "blockquote"}
        if name == "tg-emoji":
            return {"type": "custom_emoji", "custom_emoji_id": attributes.get("emoji-id", "")}
        language = attributes.get("class", "")
        inside_pre = bool(self.open) and self.open[-1].name == "pre"
        if name == "code" and inside_pre and language.startswith(LANGUAGE_CLASS):
            # <pre><code class="language-x"> is one entity: the outer one learns the language.
            outer = self.open[-1].entity
            if outer is not None and self.open[-1].start == self.length:
                outer["language"] = language.removeprefix(LANGUAGE_CLASS)
                return None
        return {"type": SIMPLE_TAGS[name]}

    def _close(self) -> None:
        found = CLOSING.match(self.source, self.at)
        if not self.open:
            raise entities_error(f"Unexpected end tag at byte offset {self._byte_offset}")
        if found is None:
            raise entities_error(f"Unclosed end tag at byte offset {self._byte_offset}")
        tag = self.open.pop()
        name = found.group(1).lower()
        if name and name != tag.name:
            raise entities_error(
                f"Unmatched end tag at byte offset {self._byte_offset}, "
                f'expected "</{tag.name}>", found "</{name}>"'
            )
        self.at = found.end()
        if tag.entity is None or self.length == tag.start:
            return
        if tag.entity["type"] == "text_link" and not tag.entity["url"]:
            return
        self.entities.append({**tag.entity, "offset": tag.start, "length": self.length - tag.start})


def parse_html(source: str) -> tuple[str, list[Entity]]:
    return HtmlParser(source).parse()
