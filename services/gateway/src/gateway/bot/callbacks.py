"""Lets a router take exactly the taps it knows, already parsed and checked."""

from __future__ import annotations

from typing import Any

from aiogram.filters import Filter
from aiogram.types import CallbackQuery

from gateway.domain.callbacks import Callback, OpenPage, parse


class Tapped(Filter):
    """Passes a tap of the given kind on as `tap`; whatever does not parse falls to fallback.py."""

    def __init__(self, kind: type[Callback]) -> None:
        self._kind = kind

    async def __call__(self, query: CallbackQuery) -> bool | dict[str, Any]:
        tap = parse(query.data or "")
        return {"tap": tap} if isinstance(tap, self._kind) else False


class OpenedPage(Filter):
    """Passes a tap on one menu page's button on as `tap`."""

    def __init__(self, page: str) -> None:
        self._page = page

    async def __call__(self, query: CallbackQuery) -> bool | dict[str, Any]:
        tap = parse(query.data or "")
        return {"tap": tap} if isinstance(tap, OpenPage) and tap.page == self._page else False
