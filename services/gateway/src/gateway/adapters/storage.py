"""aiogram's FSM storage over the conversation row of the update that is being handled."""

# ruff: noqa: ARG002 - the signatures are aiogram's; an update has one conversation

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseStorage, StateType, StorageKey

from gateway.ports import Conversation

_current: ContextVar[Conversation] = ContextVar("conversation")


@contextmanager
def bound(conversation: Conversation) -> Iterator[None]:
    """Let aiogram work on this conversation; the runner loads it and writes it back."""
    token = _current.set(conversation)
    try:
        yield
    finally:
        _current.reset(token)


class ConversationStorage(BaseStorage):
    """Reads and writes memory only: the row belongs to the update's own transaction.

    That makes state and data live and expire together, and an update that fails changes neither.
    """

    async def set_state(self, key: StorageKey, state: StateType = None) -> None:
        conversation = _current.get()
        wanted = state.state if isinstance(state, State) else state
        if wanted != conversation.state:
            conversation.state = wanted
            conversation.changed = True

    async def get_state(self, key: StorageKey) -> str | None:
        return _current.get().state

    async def set_data(self, key: StorageKey, data: Mapping[str, Any]) -> None:
        conversation = _current.get()
        if dict(data) != conversation.data:
            conversation.data = dict(data)
            conversation.changed = True

    async def get_data(self, key: StorageKey) -> dict[str, Any]:
        return dict(_current.get().data)

    async def close(self) -> None:
        """Nothing is held."""
