"""Everything a chaos run is judged by: what was seen from outside, held against the databases."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from devstack.chaos import invariants
from devstack.chaos.access import access
from devstack.chaos.findings import Finding
from devstack.chaos.timers import timers


@dataclass(frozen=True, slots=True)
class Seen:
    """What people, Telegram and the killer know. Moments are Unix times."""

    placed: Sequence[UUID]
    """Orders people confirmed."""
    updates: Sequence[int]
    """Updates Telegram was acknowledged for."""
    results: Sequence[tuple[UUID, float]]
    """Every result message in a chat: its order, and when it came."""
    crashes: Sequence[float]
    """When something died that a delivery needs."""
    troubles: Sequence[float]
    """When anything at all was done to the platform."""
    timer_keys: Sequence[str]
    claim_silence: float
    """How many seconds a generator must be silent until another takes its claim over."""
    round_trip: float
    """How many seconds the slowest answer of a service took while everything was calm."""


async def judge(connection: asyncpg.Connection, seen: Seen) -> list[Finding]:
    """Return every finding, broken or not."""
    return [
        *await invariants.money(connection),
        *await invariants.orders(connection, seen.placed),
        await invariants.results(connection, seen.results, seen.crashes),
        await invariants.updates(connection, seen.updates),
        *await invariants.parked(connection),
        await invariants.priorities(
            connection, seen.troubles, seen.claim_silence, round_trip=seen.round_trip
        ),
        *await access(connection),
        *await timers(connection, seen.timer_keys),
    ]
