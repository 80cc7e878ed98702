"""A simulator on a free port, an endpoint for its webhooks, and a shop that calls its API."""

import copy
from contextlib import AsyncExitStack

import pytest

from simulators.yookassa.testing import (
    ApiClient,
    ControlClient,
    WebhookReceiver,
    YooKassaSimulator,
)

WISH = {
    "amount": {"value": "199.00", "currency": "RUB"},
    "capture": True,
    "confirmation": {"type": "redirect", "return_url": "https://t.me/vitrine_bot"},
    "description": "100 credits",
    "metadata": {"payment_id": "p-1"},
}


class Stand:
    """Everything a test needs, on one simulator."""

    def __init__(self, sim, control, receiver):
        self.sim = sim
        self.control = control
        self.receiver = receiver
        self.api = ApiClient(control, sim.shop_id, sim.secret)

    async def make(self, *, key=None, **changes):
        """A payment that is made for certain."""
        status, body = await self.api.post("/payments", wish(**changes), key=key)
        assert status == 200, body
        return body

    async def sell(self, **changes):
        made = await self.make(**changes)
        return await self.control.pay(made["id"])

    async def refuse(self, path, body, **more):
        """A POST that is refused: its status, code and parameter."""
        status, error = await self.api.post(path, body, **more)
        assert error["type"] == "error"
        assert error["id"]
        assert error["description"]
        return status, error["code"], error.get("parameter")


def wish(**changes):
    return {**copy.deepcopy(WISH), **changes}


@pytest.fixture
async def start():
    """Starts a simulator with other options; its webhooks are retried without waiting."""
    async with AsyncExitStack() as stack:

        async def start(**options):
            receiver = await stack.enter_async_context(WebhookReceiver())
            sim = YooKassaSimulator(webhook_url=receiver.url, **({"time_scale": 0} | options))
            await stack.enter_async_context(sim)
            control = await stack.enter_async_context(ControlClient(sim.url))
            return Stand(sim, control, receiver)

        yield start


@pytest.fixture
async def stand(start):
    return await start()


@pytest.fixture
def wished():
    return wish
