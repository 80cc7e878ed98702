"""Connections, streams and consumers for the tests of everything that speaks NATS."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from chassis import bootstrap, rpc
from chassis.broker import Broker, Mitigations
from contracts import billing

Connect = Callable[..., Awaitable[Broker]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open connections that are closed when the test ends."""
    opened: list[Broker] = []

    async def open_one(
        url: str,
        mitigations: Mitigations | None = None,
        fatal: list[str] | None = None,
        **options: Any,
    ) -> Broker:
        reasons = fatal if fatal is not None else []
        broker = await Broker.connect(
            url, name="test", on_fatal=reasons.append, mitigations=mitigations, options=options
        )
        opened.append(broker)
        return broker

    yield open_one
    for broker in opened:
        await broker.close(timedelta(seconds=0.3))


@pytest.fixture
async def broker(nats_url: str, connect: Connect) -> Broker:
    return await connect(nats_url)


@pytest.fixture
def make_streams(broker: Broker) -> Callable[..., Awaitable[list[str]]]:
    """Create streams of the topology by name, with their consumers (all of them take longer)."""

    async def make(*names: str, **options: Any) -> list[str]:
        return await bootstrap.apply(broker, only=names, **options)

    return make


CREDITS = 7


@pytest.fixture
def tell_balance() -> Callable[[Broker], Awaitable[rpc.Answering]]:
    """Have a shop answer who asks for a balance."""

    async def balance(_: billing.GetBalance) -> billing.Balance:
        return billing.Balance(user_id=1, available_credits=CREDITS)

    return lambda shop: rpc.answer(shop, billing.GetBalance, balance)


@pytest.fixture
def rich() -> Callable[[Broker], Awaitable[bool]]:
    """Ask for it, and look whether that answer came."""

    async def asked(who: Broker) -> bool:
        found = await rpc.request(who, billing.GetBalance(user_id=1), billing.Balance)
        return found.available_credits == CREDITS

    return asked
