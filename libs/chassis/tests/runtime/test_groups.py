"""A group that ended by a failure does not end whoever waited for it."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from chassis.groups import TaskGroup

REPOSITORY = Path(__file__).resolve().parents[4]


class OverError(Exception):
    pass


async def fails() -> None:
    await asyncio.sleep(0)
    raise OverError


async def group_that_fails(in_body: bool = False) -> None:
    async with TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        if in_body:
            raise OverError
        group.create_task(fails())


@pytest.mark.parametrize("in_body", [False, True])
async def test_a_failed_group_leaves_no_cancel_behind(in_body):
    for _ in range(2):
        with pytest.raises(ExceptionGroup):
            await group_that_fails(in_body)

        assert asyncio.current_task().cancelling() == 0


async def never_ends(inside: asyncio.Event) -> None:
    inside.set()
    await asyncio.Event().wait()


async def breaks_while_it_ends(inside: asyncio.Event) -> None:
    try:
        await never_ends(inside)
    finally:
        raise OverError


@pytest.mark.parametrize("child", [never_ends, breaks_while_it_ends])
async def test_a_cancel_from_outside_ends_whoever_waits_also_where_a_child_hides_it(child):
    inside = asyncio.Event()

    async def waits() -> None:
        for _ in range(2):
            with suppress(ExceptionGroup):
                async with TaskGroup() as group:
                    group.create_task(child(inside))
            await asyncio.sleep(0)

    task = asyncio.create_task(waits())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task], timeout=5)

    assert task.cancelled()


async def test_a_timeout_around_a_failed_group_keeps_its_own_count():
    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup):
            await group_that_fails()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()


def test_nobody_who_lives_on_uses_the_one_of_asyncio():
    sources = [
        file
        for folder in ("libs", "services")
        for file in (REPOSITORY / folder).glob("*/src/**/*.py")
        if file.name != "groups.py"
    ]
    assert sources

    assert [file for file in sources if "asyncio.TaskGroup" in file.read_text()] == []
