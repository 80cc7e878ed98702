"""Whether a node's answer can be meant: what does not fit is not written down, nor acted upon."""

from __future__ import annotations

import math
import re
from datetime import datetime

from vpn import node_api

GENERATION_AHEAD_MAX = 1_000_000
"""A node may know newer generations than we do: our database was restored. Not this many."""
COUNTER_MAX = 1 << 56
"""Bytes of one person on one node: two years of 10 Gbit/s. Sums of these stay within 63 bits."""
ADDRESSES_MAX = 1_000_000
_WHOLE_MAX = (1 << 63) - 1
_TEXT_MAX = 4_096
_HASH = re.compile(r"(?:[0-9a-f]{32})?")


def problem(answer: object) -> str:
    """What is wrong with it, for an operator; empty: it fits."""
    if isinstance(answer, node_api.State):
        return _state(answer)
    if isinstance(answer, node_api.Applied):
        return _set(answer.generation, answer.hash)
    if isinstance(answer, node_api.Users):
        ends = (one.expires_at for one in answer.users)
        texts = (text for one in answer.users for text in (one.email, one.flow))
        if not all(map(is_text, texts)):
            return "a listed user is no text"
        return "" if all(map(_is_aware, ends)) else "a listed end has no time zone"
    if isinstance(answer, node_api.TrafficPage):
        return "" if is_text(answer.next) and is_text(answer.epoch) else "a page's text is none"
    return ""


def is_text(text: str) -> bool:
    """Whether it can be stored: Postgres takes no NUL, and UTF-8 no half of a pair."""
    if len(text) > _TEXT_MAX or "\x00" in text:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_counter(value: int) -> bool:
    return 0 <= value <= COUNTER_MAX


def is_count_of_addresses(value: int) -> bool:
    return 0 <= value <= ADDRESSES_MAX


def _state(state: node_api.State) -> str:
    core = state.core
    texts = (state.agent_version, state.node, state.boot_id, core.kind, core.version)
    if not all(map(is_text, (*texts, *state.alerts))):
        return "its state has text that is none"
    seconds = (core.uptime_seconds, state.clock_skew_seconds)
    if not all(map(math.isfinite, seconds)) or core.uptime_seconds < 0:
        return "its state has a time that is none"
    if not all(map(_is_aware, (state.now, state.certificate_until, core.started_at))):
        return "its state has a time without a zone"
    if not 0 <= state.entries <= _WHOLE_MAX:
        return f"it says it has {state.entries} entries"
    return _set(state.generation, state.hash)


def _set(generation: int, hash_: str) -> str:
    if not 0 <= generation <= _WHOLE_MAX:
        return f"its generation is {generation}"
    return "" if _HASH.fullmatch(hash_) else "its hash is none"


def _is_aware(at: datetime | None) -> bool:
    return at is None or at.tzinfo is not None
