"""Many changes to one core at once: bounded, in flight together, each safe to repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import TypeVar

import msgspec

from chassis.groups import TaskGroup
from vpn.adapters.core.client import CoreClient, CoreUser
from vpn.adapters.core.errors import (
    CoreRefusedError,
    CoreUnreachableError,
    UserExistsError,
    UserMissingError,
)

IN_FLIGHT_MAX = 64
Item = TypeVar("Item")


class BulkResult(msgspec.Struct):
    """What was done, and for whom it was not."""

    added: int = 0
    removed: int = 0
    failed: dict[str, str] = {}
    """Reasons by email."""
    unreachable: bool = False
    """The core went away: the rest was not tried."""


async def put(client: CoreClient, user: CoreUser) -> None:
    """Make the core hold exactly this key for the email: add, or verify, or remove then add."""
    try:
        await client.add(user.email, user.key, user.flow)
    except UserExistsError:
        await _replace(client, user)


async def _replace(client: CoreClient, user: CoreUser) -> None:
    if await client.find(user.email) == user:
        return
    # Which key it has cannot be asked everywhere, and a wrong one must not stay.
    await drop(client, user.email)
    await client.add(user.email, user.key, user.flow)


async def drop(client: CoreClient, email: str) -> bool:
    """Make the core not know the email. False: it did not."""
    try:
        await client.remove(email)
    except UserMissingError:
        return False
    return True


async def alter(
    client: CoreClient,
    *,
    remove: Iterable[str] = (),
    put_users: Iterable[CoreUser] = (),
    in_flight: int = IN_FLIGHT_MAX,
) -> BulkResult:
    """Remove, then put. Removals come first: a key may move from one email to another."""
    result = BulkResult()

    async def drop_one(email: str) -> None:
        was_there = await drop(client, email)
        result.removed += was_there

    async def put_one(user: CoreUser) -> None:
        try:
            await client.add(user.email, user.key, user.flow)
        except UserExistsError:
            await _replace(client, user)
        result.added += 1

    await _each(remove, drop_one, str, result, in_flight)
    if not result.unreachable:
        await _each(put_users, put_one, lambda user: user.email, result, in_flight)
    return result


async def _each(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[None]],
    name: Callable[[Item], str],
    result: BulkResult,
    in_flight: int,
) -> None:
    queue = iter(items)
    first = [item for _, item in zip(range(in_flight), queue, strict=False)]

    async def worker(begin: Item) -> None:
        for item in chain((begin,), queue):
            if result.unreachable:
                result.failed[name(item)] = "the core went away"
                continue
            try:
                await work(item)
            except CoreUnreachableError as error:
                result.failed[name(item)] = str(error)
                result.unreachable = True
            except CoreRefusedError as error:
                result.failed[name(item)] = str(error)

    async with TaskGroup() as group:
        for item in first:
            group.create_task(worker(item))
