import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from chassis import bootstrap, nats_keys
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.errors import ConfigurationError
from chassis.identity import Identity, impatient
from chassis.testing import drain
from contracts.envelope import HEADER_ID
from devstack import nats_security
from devstack.testing import SecuredNats, secured_nats

DAY = timedelta(days=1)
SUBJECT = "billing.cmd.place_order.v1"
EACH_PHASE = 40


class Flow:
    """The gateway stores commands and billing takes them, for as long as the test runs."""

    def __init__(self, gateway: Broker, billing: Broker) -> None:
        self._gateway, self._billing = gateway, billing
        self._stopping = False
        self.sent: list[str] = []
        self.taken: set[str] = set()

    async def send(self) -> None:
        while not self._stopping:
            number = str(uuid4())
            # At most once under one id: a lost answer is asked for again.
            await self._gateway.publish(
                SUBJECT, number.encode(), {HEADER_ID: number}, timeout=timedelta(seconds=20)
            )
            self.sent.append(number)
            await asyncio.sleep(0.002)

    async def take(self) -> None:
        pull = self._billing.consume("BILLING", "billing")
        async for batch in pull:
            self.taken |= {each.body.decode() for each in batch}
            await self._billing.ack_all(batch)

    async def goes_on(self) -> None:
        wanted = len(self.sent) + EACH_PHASE
        await drain(lambda: len(self.taken) > wanted, within=timedelta(seconds=20))

    def stop(self) -> None:
        self._stopping = True


async def as_user(nats: SecuredNats, user: str) -> Broker:
    return await Broker.connect(
        nats.server.url, name=user, identity=nats.identity(user), on_fatal=pytest.fail
    )


async def step(nats: SecuredNats, flow: Flow) -> str:
    """Hand out what the next step brings, to the server first; nobody is restarted but it."""
    folder = nats.state_dir / nats_security.FOLDER
    taken = nats_keys.rotate(nats_keys.read(folder), nats_security.HOSTS, SystemClock().now(), DAY)
    nats_security.remember(nats.state_dir, taken.keys)
    nats.server.reload()
    await flow.goes_on()
    # Everybody connects anew, with what lies on the disk now.
    await nats.server.restart()
    await flow.goes_on()
    return taken.done


async def test_everything_is_rotated_while_messages_flow_and_none_is_lost(tmp_path):
    async with secured_nats() as nats:
        maker = await as_user(nats, "bootstrap")
        await bootstrap.apply(maker, only=["BILLING"])
        await maker.close()
        old = tmp_path / "old"
        shutil.copytree(nats.identity("billing").tls_dir, old)
        gateway, billing = await as_user(nats, "gateway"), await as_user(nats, "billing")
        flow = Flow(gateway, billing)
        loop = asyncio.get_running_loop()
        sending, taking = loop.create_task(flow.send()), loop.create_task(flow.take())
        await flow.goes_on()

        done = [await step(nats, flow) for _ in range(3)]

        flow.stop()
        await sending
        await drain(lambda: flow.taken == set(flow.sent))
        taking.cancel()
        assert done == [nats_keys.BELIEVED, nats_keys.USED, nats_keys.FORGOTTEN]
        assert _files(old) == _files(Path(nats.identity("billing").tls_dir))
        assert all(
            (old / name).read_bytes() != content
            for name, content in nats_keys.read(nats.state_dir / nats_security.FOLDER)[
                "billing"
            ].items()
        )
        with pytest.raises(ConfigurationError, match="NATS_TLS_DIR"):
            await Broker.connect(
                nats.server.url,
                name="thief",
                identity=Identity.in_folder(old, "billing"),
                on_fatal=pytest.fail,
                on_refused=impatient,
            )
        await gateway.close()
        await billing.close()


def _files(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_between_two_steps_who_has_read_the_new_files_and_who_has_not_both_come_in(
    tmp_path,
):
    async with secured_nats() as nats:
        folder = nats.state_dir / nats_security.FOLDER
        for _ in range(2):
            slow = tmp_path / uuid4().hex
            shutil.copytree(nats.identity("vpn").tls_dir, slow)
            taken = nats_keys.rotate(
                nats_keys.read(folder), nats_security.HOSTS, SystemClock().now(), DAY
            )
            nats_security.remember(nats.state_dir, taken.keys)
            await nats.server.restart()

            for identity in (Identity.in_folder(slow, "vpn"), nats.identity("vpn")):
                broker = await Broker.connect(
                    nats.server.url,
                    name="vpn",
                    identity=identity,
                    on_fatal=pytest.fail,
                    on_refused=impatient,
                )
                await broker.close()
