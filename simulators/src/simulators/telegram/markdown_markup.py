"""parse_mode=MarkdownV2 and its legacy Markdown ancestor."""

import re
from dataclasses import dataclass, field

from simulators.telegram.errors import ApiError
from simulators.telegram.html_markup import Entity, entities_error, utf16_length

RESERVED = set("_*[]()~`>#+-=|{}.!")
MARKS = {
    "*": "bold",
    "__": "underline",
    "_": "italic",
    "~": "strikethrough",
    "||": "spoiler",
    "`": "code",
    "```": "pre",
    "[": "text_link",
    "![": "custom_emoji",
}
ENDS = {"[": "]", "![": "]"}
LONGEST_FIRST = sorted(MARKS, key=len, reverse=True)
# How the real server's message names each kind.
KIND_NAMES = {
    "bold": "Bold",
    "underline": "Underline",
    "italic": "Italic",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
}
FENCE_LANGUAGE = re.compile(r"([^\s`]+)?(\r?\n)?")
EMOJI_LINK = re.compile(r"tg://emoji\?id=(\d+)")


@dataclass(slots=True)
class OpenMark:
    mark: str
    start: int
    at: int
    extra: Entity = field(default_factory=dict)


class MarkdownParser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.pieces: list[str] = []
        self.length = 0
        self.open: list[OpenMark] = []
        self.entities: list[Entity] = []
        self.quote_start: int | None = None

    def parse(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.source):
            self._step()
        if self.open:
            raise self._unfinished(self.open[-1])
        self._end_quote()
        return "".join(self.pieces), self.entities

    def _step(self) -> None:
        sign = self.source[self.at]
        if sign == "\\" and self.at + 1 < len(self.source) and self.source[self.at + 1] < "\x7f":
            self._put(self.source[self.at + 1])
            self.at += 2
            return
        inside = self.open[-1].mark if self.open else ""
        if inside in {"`", "```"}:
            if self.source.startswith(inside, self.at):
                self._close()
            elif sign == "`":
                raise self._reserved(sign)
            else:
                self._take(sign)
        elif sign == ">" and self._at_line_start():
            self._begin_quote()
        elif sign == "\n":
            self._take(sign)
            if self.quote_start is not None and not self.source.startswith(">", self.at):
                self._end_quote()
        elif inside and self._closes(inside):
            self._close()
        elif mark := next((m for m in LONGEST_FIRST if self.source.startswith(m, self.at)), None):
            self._open(mark)
        elif sign in RESERVED:
            raise self._reserved(sign)
        else:
            self._take(sign)

    def _put(self, text: str) -> None:
        self.pieces.append(text)
        self.length += utf16_length(text)

    def _take(self, sign: str) -> None:
        self._put(sign)
        self.at += 1

    def _at_line_start(self) -> bool:
        return self.at == 0 or self.source[self.at - 1] == "\n"

    def _bytes(self, at: int) -> int:
        return len(self.source[:at].encode())

    def _reserved(self, sign: str) -> ApiError:
        return entities_error(
            f"Character '{sign}' is reserved and must be escaped with the preceding '\\'"
        )

    def _unfinished(self, mark: OpenMark) -> ApiError:
        kind = "PreCode" if "language" in mark.extra else KIND_NAMES[MARKS[mark.mark]]
        return entities_error(
            f"Can't find end of {kind} entity at byte offset {self._bytes(mark.at)}"
        )

    def _closes(self, mark: str) -> bool:
        if mark == "_":  # two of them belong to an underline, unless nothing else is open
            return self.source.startswith("_", self.at) and not self.source.startswith(
                "__", self.at
            )
        return self.source.startswith(ENDS.get(mark, mark), self.at)

    def _open(self, mark: str) -> None:
        opened = OpenMark(mark, self.length, self.at)
        self.at += len(mark)
        if mark == "```" and (found := FENCE_LANGUAGE.match(self.source, self.at)):
            if found.group(1) and found.group(2):
                opened.extra["language"] = found.group(1)
                self.at = found.end()
            elif not found.group(1):
                self.at = found.end()
        self.open.append(opened)

    def _close(self) -> None:
        mark = self.open.pop()
        self.at += len(ENDS.get(mark.mark, mark.mark))
        entity: Entity = {"type": MARKS[mark.mark], **mark.extra}
        if mark.mark == "[":
            entity["url"] = self._target("URL") or "".join(self.pieces)[-self._chars(mark) :]
        elif mark.mark == "![":
            found = EMOJI_LINK.fullmatch(self._target("custom emoji URL") or "")
            if found is None:
                raise entities_error("Custom emoji entity must contain a tg://emoji URL")
            entity["custom_emoji_id"] = found.group(1)
        if self.length > mark.start:
            self.entities.append(
                {**entity, "offset": mark.start, "length": self.length - mark.start}
            )

    def _chars(self, mark: OpenMark) -> int:
        """How many characters (not UTF-16 units) were put since the mark was opened."""
        text = "".join(self.pieces).encode("utf-16-le")
        return len(text[mark.start * 2 :].decode("utf-16-le"))

    def _target(self, what: str) -> str | None:
        if not self.source.startswith("(", self.at):
            return None
        begin = self.at + 1
        taken = []
        at = begin
        while at < len(self.source) and self.source[at] != ")":
            if self.source[at] == "\\" and at + 1 < len(self.source):
                at += 1
            taken.append(self.source[at])
            at += 1
        if at >= len(self.source):
            raise entities_error(f"Can't find end of a {what} at byte offset {self._bytes(begin)}")
        self.at = at + 1
        return "".join(taken)

    def _begin_quote(self) -> None:
        self.at += 1
        if self.quote_start is None:
            self.quote_start = self.length

    def _end_quote(self) -> None:
        if self.quote_start is None:
            return
        if self.open:
            raise self._unfinished(self.open[-1])
        start, self.quote_start = self.quote_start, None
        if self.length > start:
            self.entities.append(
                {"type": "blockquote", "offset": start, "length": self.length - start}
            )


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    return MarkdownParser(source).parse()


LEGACY = re.compile(
    r"\\(?P<escaped>[_*`\[])"
    r"|```(?:(?P<language>[^\s`]+)\s)?\n?(?P<pre>.*?)```"
    r"|`(?P<code>[^`]*)`"
    r"|\*(?P<bold>[^*]*)\*"
    r"|_(?P<italic>[^_]*)_"
    r"|\[(?P<text_link>[^\]]*)\](?:\((?P<url>[^)]*)\))?"
    r"|(?P<stray>[_*`\[])",
    re.DOTALL,
)


def parse_markdown(source: str) -> tuple[str, list[Entity]]:
    """The legacy mode: no nesting, four marks, and nothing else is reserved."""
    pieces: list[str] = []
    entities: list[Entity] = []
    length = 0
    at = 0
    for found in LEGACY.finditer(source):
        before = source[at : found.start()]
        at = found.end()
        pieces.append(before)
        length += utf16_length(before)
        if found["stray"]:
            offset = len(source[: found.start()].encode())
            raise entities_error(f"Can't find end of the entity starting at byte offset {offset}")
        kind = found.lastgroup or ""
        if kind == "url":
            kind = "text_link"
        inner = found["escaped"] if kind == "escaped" else found[kind]
        pieces.append(inner)
        if kind != "escaped" and inner:
            entity: Entity = {"type": kind, "offset": length, "length": utf16_length(inner)}
            if kind == "text_link":
                entity["url"] = found["url"] or inner
            if found["language"]:
                entity["language"] = found["language"]
            entities.append(entity)
        length += utf16_length(inner)
    pieces.append(source[at:])
    return "".join(pieces), entities
