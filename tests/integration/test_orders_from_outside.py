"""`python -m devstack.orders`: what Tilt's buttons and tests/cluster order with."""

import asyncio
import sys

import pytest

from devstack.chat import ChatError
from devstack.orders import people
from devstack.stage import Stage
from devstack.testing import free_port

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]
PATIENCE_SECONDS = 100.0


async def ordered(url: str, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devstack.orders", url, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_each_new_person_gets_one_picture(steady: Stage) -> None:
    code, output = await ordered(steady.urls["chat"], "--orders", "2")

    assert code == 0, output
    assert output.count("1 picture(s) after") == 2


async def test_it_says_where_nobody_serves() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    code, output = await ordered(url)

    assert code == 1
    assert url in output


async def test_people_who_come_one_by_one_are_all_accounted_for(steady: Stage) -> None:
    async with people(steady.urls["chat"], every_seconds=0.5) as load:
        await asyncio.sleep(1.2)  # three people
        orders = await load.ended()

    booked = await steady.fetch(
        "SELECT order_id FROM billing.orders WHERE user_id = ANY($1) AND state = 'completed'",
        [each.user_id for each in orders],
    )
    assert len(orders) >= 2
    assert {row["order_id"] for row in booked} == {each.order_id for each in orders}


async def test_an_order_that_is_lost_is_told() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(ChatError, match="1 of 1 orders were lost"):
        async with people(nobody, every_seconds=600) as load:
            await load.ended()
