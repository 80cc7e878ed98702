"""Reads a Bot API call, however it was encoded: query, form, multipart or JSON."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from simulators.telegram.errors import bad_request

TRUE_WORDS = {"true", "1", "yes", "on"}


@dataclass(slots=True)
class Upload:
    name: str
    mime: str
    data: bytes


class Params:
    def __init__(self, values: dict[str, Any], files: dict[str, Upload] | None = None) -> None:
        self.values = values
        self.files = files or {}

    @classmethod
    async def read(cls, request: web.Request) -> "Params":
        values: dict[str, Any] = dict(request.query)
        files: dict[str, Upload] = {}
        if request.content_type == "application/json":
            body = await request.read()
            try:
                decoded = json.loads(body or b"{}")
            except ValueError:
                raise bad_request("can't parse JSON object") from None
            if not isinstance(decoded, dict):
                raise bad_request("object expected")
            values.update(decoded)
        elif request.content_type == "multipart/form-data":
            async for name, value in read_parts(request):
                if isinstance(value, Upload):
                    files[name] = value
                else:
                    values[name] = value
        elif request.can_read_body:
            values.update(await request.post())
        return cls(values, files)

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def integer(self, name: str, default: int = 0) -> int:
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f'parameter "{name}" must be an Integer') from None

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        return value if isinstance(value, bool) else str(value).lower() in TRUE_WORDS

    def decoded(self, name: str, what: str | None = None) -> Any:
        """The value of a JSON-serialized parameter; None when it is absent."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what or name} JSON object") from None

    def upload(self, name: str) -> Upload | None:
        """The file sent as this parameter, directly or as attach://<part>."""
        if name in self.files:
            return self.files[name]
        value = self.values.get(name)
        if isinstance(value, str) and value.startswith("attach://"):
            return self.attached(value)
        return None

    def attached(self, reference: str) -> Upload | None:
        return self.files.get(reference.removeprefix("attach://"))


async def read_parts(request: web.Request) -> AsyncIterator[tuple[str, str | Upload]]:
    """Every named part of a multipart body: a text, or a file."""
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        if part.filename is None:
            yield part.name, await part.text()
            continue
        mime = part.headers.get("Content-Type", "application/octet-stream")
        data = bytes(await part.read())
        yield part.name, Upload(part.filename, mime.partition(";")[0].strip(), data)
