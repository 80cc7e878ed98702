import asyncio
from datetime import timedelta

import pytest

from chassis import rpc
from chassis.broker import Broker
from chassis.errors import TransientError
from chassis.rpc import RpcFailedError, RpcTimeoutError
from chassis.testing import drain
from contracts.billing import Balance, GetBalance
from contracts.errors import RefusalError


async def balance(request: GetBalance) -> Balance:
    return Balance(user_id=request.user_id, available_credits=20)


async def test_a_request_is_answered(broker: Broker) -> None:
    await rpc.answer(broker, GetBalance, balance)

    reply = await rpc.request(broker, GetBalance(user_id=7), Balance)

    assert reply == Balance(user_id=7, available_credits=20)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusalError(code="no_account"), "no_account"),
        (TransientError("database away"), "unavailable"),
        (RuntimeError("secret details"), "internal"),
    ],
)
async def test_a_failure_is_answered_with_its_code(
    broker: Broker, error: Exception, code: str
) -> None:
    async def fail(_request: GetBalance) -> Balance:
        raise error

    await rpc.answer(broker, GetBalance, fail)

    with pytest.raises(RpcFailedError) as failed:
        await rpc.request(broker, GetBalance(user_id=7), Balance)
    assert failed.value.code == code
    assert "secret" not in str(failed.value)


async def test_a_malformed_request_is_answered(broker: Broker) -> None:
    await rpc.answer(broker, GetBalance, balance)

    answer = await broker.nc.ask(GetBalance.subject, b"\xff", timeout=30)

    assert answer.headers[rpc.HEADER_ERROR] == "invalid"


async def test_nobody_listening_is_a_timeout(broker: Broker) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(RpcTimeoutError, match="nobody listens"):
        await rpc.request(broker, GetBalance(user_id=7), Balance, timeout=timedelta(seconds=0.3))
    assert asyncio.get_running_loop().time() - began < 15


async def test_a_request_waits_for_a_service_that_is_starting(broker: Broker) -> None:
    asking = asyncio.get_running_loop().create_task(
        rpc.request(broker, GetBalance(user_id=7), Balance, timeout=timedelta(seconds=30))
    )
    # Until it was told that nobody listens, and asked again.
    sent = broker.nc.stats["out_msgs"]
    await drain(lambda: broker.nc.stats["out_msgs"] > sent + 1, what="a second attempt")
    assert not asking.done()
    await rpc.answer(broker, GetBalance, balance)

    assert (await asking).user_id == 7


async def test_a_slow_answer_is_a_timeout(broker: Broker) -> None:
    released = asyncio.Event()

    async def slow(request: GetBalance) -> Balance:
        await released.wait()
        return await balance(request)

    await rpc.answer(broker, GetBalance, slow)

    with pytest.raises(RpcTimeoutError):
        await rpc.request(broker, GetBalance(user_id=7), Balance, timeout=timedelta(seconds=0.1))
    released.set()


async def test_answers_run_side_by_side_up_to_a_limit(broker: Broker) -> None:
    running = peak = 0

    async def count(request: GetBalance) -> Balance:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        # The work itself: long enough that forty of them would overlap without the limit.
        await asyncio.sleep(0.02)
        running -= 1
        return await balance(request)

    await rpc.answer(broker, GetBalance, count, at_once=5)

    replies = await asyncio.gather(
        *(rpc.request(broker, GetBalance(user_id=n), Balance) for n in range(40))
    )

    assert [each.user_id for each in replies] == list(range(40))
    assert peak == 5


async def test_processes_of_one_service_share_the_requests(
    broker: Broker, connect, nats_url: str
) -> None:
    asked: list[str] = []

    def named(name: str):
        async def handle(request: GetBalance) -> Balance:
            asked.append(name)
            return await balance(request)

        return handle

    await rpc.answer(broker, GetBalance, named("a"))
    await rpc.answer(await connect(nats_url), GetBalance, named("b"))

    for n in range(60):
        await rpc.request(broker, GetBalance(user_id=n), Balance)

    assert len(asked) == 60
    assert set(asked) == {"a", "b"}


async def test_stopping_answers_what_was_taken(broker: Broker) -> None:
    entered = asyncio.Event()

    async def slow(request: GetBalance) -> Balance:
        entered.set()
        # The work itself: stopping must find it unfinished.
        await asyncio.sleep(0.2)
        return await balance(request)

    answering = await rpc.answer(broker, GetBalance, slow)
    asking = asyncio.get_running_loop().create_task(
        rpc.request(broker, GetBalance(user_id=7), Balance)
    )
    await entered.wait()

    await answering.stop()

    assert (await asking).user_id == 7
    with pytest.raises(RpcTimeoutError):
        await rpc.request(broker, GetBalance(user_id=7), Balance, timeout=timedelta(seconds=0.2))


async def test_an_oversized_answer_is_an_error(broker: Broker) -> None:
    class Huge(Balance, frozen=True, kw_only=True):
        filler: bytes = b""

    async def huge(request: GetBalance) -> Balance:
        return Huge(user_id=request.user_id, filler=b"x" * 1_000_001)

    await rpc.answer(broker, GetBalance, huge)

    with pytest.raises(RpcFailedError) as failed:
        await rpc.request(broker, GetBalance(user_id=7), Balance)
    assert failed.value.code == "internal"


async def test_requests_survive_a_reconnect(connect) -> None:
    from devstack.testing import private_nats

    async with private_nats() as server:
        asker, answerer = await connect(server.url), await connect(server.url)
        await rpc.answer(answerer, GetBalance, balance)
        await rpc.request(asker, GetBalance(user_id=1), Balance)
        await server.kill()
        await server.start()

        reply = await rpc.request(
            asker, GetBalance(user_id=7), Balance, timeout=timedelta(seconds=30)
        )
        assert reply.user_id == 7
