"""Reads an API call, however it was encoded: query, form, multipart or JSON."""

import json
from decimal import Decimal
from typing import Any

from aiohttp import web

from simulators.crypto_pay.errors import ApiError, invalid, required
from simulators.provider.money import positive

TRUE_WORDS = {"true", "1"}
FALSE_WORDS = {"false", "0"}


class Params:
    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    async def read(cls, request: web.Request) -> "Params":
        values: dict[str, Any] = dict(request.query)
        if request.content_type == "application/json":
            body = await request.read()
            try:
                # A float would already have lost what the sender meant.
                decoded = json.loads(body or b"{}", parse_float=Decimal)
            except ValueError:
                raise ApiError("JSON_INVALID") from None
            if not isinstance(decoded, dict):
                raise ApiError("JSON_INVALID")
            values.update(decoded)
        elif request.can_read_body:
            values.update(await request.post())
        return cls(values)

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) not in (None, "")

    def text(self, name: str, *, characters_max: int | None = None) -> str | None:
        if name not in self:
            return None
        value = self.values[name]
        if not isinstance(value, (str, int, Decimal)) or isinstance(value, bool):
            raise invalid(name)
        text = str(value)
        if characters_max is not None and len(text) > characters_max:
            raise invalid(name)
        return text

    def one_of(self, name: str, allowed: Any, **more: Any) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise invalid(name, **more)
        return value

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        if name not in self:
            return None
        value = self.values[name]
        try:
            number = int(str(value))
        except ValueError:
            raise invalid(name) from None
        if isinstance(value, bool) or not least <= number <= most:
            raise invalid(name)
        return number

    def flag(self, name: str, *, default: bool) -> bool:
        if name not in self:
            return default
        word = str(self.values[name]).lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise invalid(name)
        return word in TRUE_WORDS

    def amount(self, name: str) -> Decimal:
        if name not in self:
            raise required(name)
        amount = positive(self.values[name])
        if amount is None:
            raise invalid(name)
        return amount

    def list(self, name: str) -> list[str]:
        """Comma separated, or a JSON array."""
        value = self.values.get(name)
        if value is None or value == "":
            return []
        parts = value if isinstance(value, list) else str(value).split(",")
        return [str(part).strip() for part in parts]

    def ids(self, name: str) -> set[int] | None:
        parts = self.list(name)
        if not parts:
            return None
        if not all(part.isdecimal() for part in parts):
            raise invalid(name)
        return {int(part) for part in parts}
