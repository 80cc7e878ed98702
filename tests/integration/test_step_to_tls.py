"""docs/upgrade.md, «To the first release with TLS»: each of its steps, while people order.

A platform whose nats-server asks nobody, and whose services sign nothing, gets signatures first,
then certificates, users and keys. Nobody loses an order, and nobody pays twice.
"""

import asyncio
from functools import partial

import nats
import pytest

from chassis import bootstrap
from chassis.broker import Broker
from contracts.permissions import ACCOUNT
from devstack import nats_security
from devstack.health import answers_ok
from devstack.nats_server import NO_ACCOUNT, NatsServer
from devstack.ports import free_port
from devstack.releases import Release, RollingShop, rolling_shop
from devstack.rolling import (
    PATIENCE_SECONDS,
    TOGETHER,
    Load,
    consumers,
    judged,
    operator,
    ordering,
)
from devstack.settings import REPOSITORY
from devstack.testing import scratch_folder, wait_until

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.timeout(600)]


def signing(mode: str) -> Release:
    return Release(f"signatures {mode}", REPOSITORY, {"SIGNATURES": mode})


def secured(shop: RollingShop) -> Release:
    """What the chart gives each pod: its files, and the address that asks for TLS."""

    def of_user(name: str) -> dict[str, str]:
        files = nats_security.settings_of(shop.stage.folder, name)
        return {**files, "NATS_URL": f"tls://127.0.0.1:{shop.nats.port}"}

    return Release("TLS", REPOSITORY, {"SIGNATURES": "require"}, of_user)


async def all_signed(broker: Broker) -> None:
    """Wait until nothing is left to read that was stored before now: it may be unsigned."""
    jetstream = broker.nc.jetstream()
    for stream in await jetstream.streams_info():
        name, last = str(stream.config.name), stream.state.last_seq
        for each in await jetstream.consumers_info(name):

            async def read(stream: str = name, durable: str = each.name, last: int = last) -> bool:
                now = await jetstream.consumer_info(stream, durable)
                idle = not now.num_pending and not now.num_ack_pending
                return idle or (now.ack_floor is not None and now.ack_floor.stream_seq >= last)

            if each.config.durable_name:
                await wait_until(read, f"{each.name} of {name}", PATIENCE_SECONDS)


async def is_turned_away(port: int) -> bool:
    """Whether somebody without a certificate and a key is."""
    try:
        await nats.connect(f"nats://127.0.0.1:{port}", allow_reconnect=False, error_cb=_expected)
    except (nats.errors.Error, OSError):
        return True
    return False


async def _expected(_: Exception) -> None:
    """`is_turned_away` says it."""


async def upgrade(shop: RollingShop, load: Load, release: Release, side_by_side: int) -> None:
    """Replace every service at once, as Helm does; so many orders end while both are there."""
    together = asyncio.Event()

    async def watched() -> None:
        await load.more(side_by_side)
        together.set()

    await asyncio.gather(watched(), *(shop.replace(name, release, together) for name in shop.names))


async def test_every_step_while_people_order() -> None:
    off, observe, require = (signing(mode) for mode in ("off", "observe", "require"))
    async with rolling_shop() as shop:
        await shop.prepare(off)
        await asyncio.gather(*(shop.start(name, off) for name in shop.names))
        await shop.stage.comfyui("time_scale", {"time_scale": 0.05})
        load = Load(shop)
        async with operator(shop) as broker:
            await load.begin(broker)
            known = await consumers(broker)
        async with ordering(load):
            await load.more(TOGETHER)

            # Steps 1 and 2, with the server as it is.
            await upgrade(shop, load, observe, TOGETHER)
            async with operator(shop) as broker:
                await all_signed(broker)
            await upgrade(shop, load, require, TOGETHER)

            # Step 3. Whoever orders meanwhile waits.
            nats_security.prepare(shop.stage.folder)
            await shop.nats.stop()
            shop.nats.secure(partial(nats_security.prepare, shop.stage.folder))
            await shop.nats.start()
            tls = secured(shop)
            await shop.prepare(tls)
            # What was before the switch cannot speak to this server, and is only stopped.
            await upgrade(shop, load, tls, 0)
            await load.more(2 * TOGETHER)

        assert await judged(shop, load) == []
        async with operator(shop) as broker:
            # None was made anew, so none has forgotten or repeated anything.
            assert await consumers(broker) == known
        assert {each.name for running in shop.running.values() for each, _ in running} == {"TLS"}
        assert await is_turned_away(shop.nats.port)


@pytest.mark.parametrize("moved", [True, False])
async def test_streams_are_kept_only_if_their_folder_gets_the_accounts_name(moved: bool) -> None:
    with scratch_folder() as folder:
        server = NatsServer(folder / "nats", free_port())
        await server.start()
        before = await Broker.connect(server.url, name="test", on_fatal=pytest.fail)
        await bootstrap.apply(before, only=["UPDATES"])
        await before.close()
        await server.stop()
        stored = folder / "nats" / "jetstream" / "jetstream"
        assert NO_ACCOUNT in {each.name for each in stored.iterdir()}
        if not moved:
            (stored / ACCOUNT).mkdir()
        nats_security.prepare(folder)
        server.secure(partial(nats_security.prepare, folder))

        starting = asyncio.ensure_future(server.start())

        if moved:
            await starting
        who = nats_security.identity(folder)
        after = await Broker.connect(server.url, name="test", identity=who, on_fatal=pytest.fail)
        found = [each.config.name for each in await after.nc.jetstream().streams_info()]
        healthy = await answers_ok(f"{server.monitoring_url}/healthz")
        await after.close()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await server.kill()
        # It says so: in Kubernetes it would never be ready.
        assert (found, healthy) == ((["UPDATES"], True) if moved else ([], False))
