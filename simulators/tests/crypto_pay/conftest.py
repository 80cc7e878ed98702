"""A simulator on a free port, an endpoint for its webhooks and a client of both its APIs."""

from collections.abc import AsyncIterator

import pytest

from simulators.crypto_pay.testing import ControlClient, CryptoPaySimulator, WebhookReceiver

TOKEN = "777:AA-token-of-a-test"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver(TOKEN) as receiver:
        yield receiver


@pytest.fixture
async def sim(receiver: WebhookReceiver) -> AsyncIterator[CryptoPaySimulator]:
    """Its webhooks are retried without waiting."""
    async with CryptoPaySimulator(
        token=TOKEN, webhook_url=receiver.url, time_scale=0, webhook_timeout_seconds=2
    ) as simulator:
        yield simulator


@pytest.fixture
async def control(sim: CryptoPaySimulator) -> AsyncIterator[ControlClient]:
    async with ControlClient(sim.url) as client:
        yield client


@pytest.fixture
def call(control: ControlClient):
    """A method of the API that must succeed: its result."""

    async def call(method: str, **params):
        status, body = await control.api(TOKEN, method, **params)
        assert (status, body["ok"]) == (200, True), body
        return body["result"]

    return call


@pytest.fixture
def refused(control: ControlClient):
    """A method of the API that must fail: its status and the error."""

    async def refused(method: str, **params):
        status, body = await control.api(TOKEN, method, **params)
        assert body["ok"] is False
        assert body["error"]["code"] == status
        return status, body["error"]["name"]

    return refused
