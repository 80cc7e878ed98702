"""A group that ended by a failure does not end whoever waited for it."""

import asyncio

import pytest

from chassis.groups import TaskGroup


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


async def test_a_cancel_from_outside_still_ends_the_group_and_counts():
    inside = asyncio.Event()

    async def waits() -> None:
        async with TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            inside.set()

    task = asyncio.create_task(waits())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_a_timeout_around_a_failed_group_keeps_its_own_count():
    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup):
            await group_that_fails()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
