"""Keys change under load, come late and go; what was refused can be judged again."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chassis import parked, signing_keys
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock
from chassis.consumers import ExactlyOnce, Subscription
from chassis.database import Database
from chassis.errors import ConfigurationError
from chassis.outbox import Outbox
from chassis.redrive import Redrive
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.signatures import Mode
from chassis.testing import drain, signatures_of, signed, wire
from contracts import billing
from contracts.envelope import HEADER_SIGNATURE
from contracts.producers import OPERATOR, PARTIES

Start = Callable[..., ExactlyOnce]


@pytest.fixture
def broker(signing_broker: Broker) -> Broker:
    return signing_broker


def grant(key: str = "k") -> billing.GrantCredits:
    return billing.GrantCredits(grant_key=key, user_id=1, credits=1, reason="t", actor="t")


async def test_rotation_with_overlap_parks_nothing_under_load(
    consume: Start, tables: Any, broker: Broker, keys: Path, connected: Callable[..., Any]
) -> None:
    """New public key to everybody, then the private one; the old public key goes last."""
    operator: Broker = await connected(OPERATOR)
    assert operator.signatures is not None
    assert broker.signatures is not None
    consume()
    stopping = asyncio.Event()
    sent: list[str] = []

    async def load() -> None:
        while not stopping.is_set():
            batch = [f"{len(sent) + n}" for n in range(5)]
            messages = [
                OutgoingMessage(billing.GrantCredits.subject, grant(each).encode(), wire())
                for each in batch
            ]
            assert all(await operator.publish_all(messages))
            sent.extend(batch)

    async def seen_by_both() -> bool:
        """What the background of a service does every two seconds."""
        operator.signatures.refresh()  # type: ignore[union-attr]
        broker.signatures.refresh()  # type: ignore[union-attr]
        seen = len(sent)
        await drain(lambda: len(sent) >= seen + 20, what="twenty more are sent")
        return True

    loading = asyncio.create_task(load())
    for _ in range(3):
        old = signatures_of(keys, OPERATOR)
        new = signing_keys.new_key(OPERATOR)
        signing_keys.publish(signing_keys.verify_folder(keys), new)
        await seen_by_both()
        signing_keys.replace_private(signing_keys.private_file(keys, OPERATOR), new)
        await seen_by_both()
        await tables.until(handled=len(sent))
        _remove(keys, old)
        await seen_by_both()
    stopping.set()
    await loading
    await tables.until(handled=len(sent))

    assert sorted(await tables.done()) == sorted(sent)
    assert await tables.refused() == []


def _remove(keys: Path, old: Any) -> None:
    verify = signing_keys.verify_folder(keys)
    headers = wire()
    old.sign(billing.GrantCredits.subject, b"", headers)
    key = headers[HEADER_SIGNATURE].split(".")[1]
    (verify / f"{OPERATOR}.{key}.pub").unlink()


async def test_a_key_that_was_removed_is_no_longer_believed(
    consume: Start, tables: Any, keys: Path, stranger: Broker
) -> None:
    consume()
    old = signatures_of(keys, OPERATOR)
    late = signed(keys, OPERATOR, grant("late"))
    signing_keys.write(keys, signing_keys.new_key(OPERATOR))
    _remove(keys, old)

    await stranger.publish_all([signed(keys, OPERATOR, grant("new"))])
    await tables.until(handled=1)
    await stranger.publish_all([late])
    await tables.until(parked=1)

    assert await tables.done() == ["new"]
    assert [row["reason"] for row in await tables.refused()] == ["unknown_key"]


async def test_a_key_that_arrives_late_is_waited_for(
    consume: Start,
    tables: Any,
    broker: Broker,
    keys: Path,
    tmp_path: Path,
    stranger: Broker,
) -> None:
    """Another pod may have the new public key before this one."""
    assert broker.signatures is not None
    broker.signatures.key_waits_max = 1_000
    ahead = tmp_path / "ahead"
    signing_keys.ensure(ahead, PARTIES)
    consume()
    await stranger.publish_all([signed(ahead, OPERATOR, grant("early"))])

    async def handed_back() -> bool:
        state = await stranger.consumer_info("BILLING", "billing")
        return state.num_redelivered > 0

    await drain(handed_back, what="it was handed back")
    for file in (ahead / "verify").glob("operator.*"):
        (keys / "verify" / file.name).write_bytes(file.read_bytes())
    await tables.until(handled=1)

    assert await tables.done() == ["early"]
    assert await tables.refused() == []


async def test_a_redrive_is_no_signature(
    consume: Start, outbox: Outbox, tables: Any, stranger: Broker
) -> None:
    consumer = consume()
    await stranger.publish(grant().subject, grant("forged").encode(), wire())
    await tables.until(parked=1)
    (row,) = await tables.refused()
    redrive = Redrive("billing", outbox, [consumer])

    for _ in range(3):
        await redrive.redrive(parked.RedriveParked(id=row["id"], actor="me"))

    (row,) = await tables.refused()
    assert (row["state"], row["reason"]) == ("parked", "unsigned")
    assert await tables.done() == []


async def test_what_was_refused_for_want_of_a_key_is_handled_once_it_is_there(
    consume: Start,
    outbox: Outbox,
    tables: Any,
    keys: Path,
    tmp_path: Path,
    stranger: Broker,
    forget_ids: Any,
) -> None:
    ahead = tmp_path / "ahead"
    signing_keys.ensure(ahead, PARTIES)
    consumer = consume()
    early = signed(ahead, OPERATOR, grant("early"))
    await stranger.publish_all([early])
    await tables.until(parked=1)
    (row,) = await tables.refused()
    for file in (ahead / "verify").glob("operator.*"):
        (keys / "verify" / file.name).write_bytes(file.read_bytes())
    assert outbox.broker.signatures is not None
    outbox.broker.signatures.refresh()
    redrive = Redrive("billing", outbox, [consumer])

    for _ in range(2):
        await redrive.redrive(parked.RedriveParked(id=row["id"], actor="me"))
    await forget_ids()
    assert await stranger.publish_all([early]) == [True]
    await stranger.publish_all([signed(keys, OPERATOR, grant("last"))])
    await tables.until(handled=2)

    assert await tables.done() == ["early", "last"]


async def test_observe_handles_what_an_old_release_sends(
    consume: Start, tables: Any, broker: Broker, keys: Path, stranger: Broker
) -> None:
    broker.signatures = signatures_of(keys, "billing", Mode.OBSERVE)
    consume()

    await stranger.publish(grant().subject, grant("unsigned").encode(), wire())
    await tables.until(handled=1)

    assert await tables.refused() == []


async def test_nobody_consumes_without_having_said_how(
    nats_url: str, database: Database, stranger: Broker
) -> None:
    outbox = Outbox(database, stranger, SystemClock())

    with pytest.raises(ConfigurationError, match="signed"):
        ExactlyOnce(
            "billing", outbox, Subscription(stream="BILLING", consumer="billing", routes=())
        )


async def test_a_service_without_keys_does_not_start(nats_url: str) -> None:
    with pytest.raises(ConfigurationError, match="SIGNATURES=off"):
        async with Service.start("billing", ServiceSettings(nats_url=nats_url)):
            pytest.fail("it started")


async def test_a_running_service_signs_with_the_key_it_is_given(nats_url: str, keys: Path) -> None:
    settings = ServiceSettings(
        nats_url=nats_url,
        signing_key_file=str(signing_keys.private_file(keys, "billing")),
        verify_keys_dir=str(signing_keys.verify_folder(keys)),
    )
    async with Service.start("billing", settings) as service:
        signing = service.broker.signatures
        assert signing is not None
        new = signing_keys.new_key("billing")
        signing_keys.write(keys, new)

        def signed_with() -> str:
            headers = wire()
            signing.sign(billing.OrderRefused.subject, b"", headers)
            return headers[HEADER_SIGNATURE].split(".")[1]

        await drain(lambda: signed_with() == new.key_id, what="it signs with the new key")


KILLED = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from chassis.broker import Broker
    from chassis.clock import SystemClock
    from chassis.database import Database
    from chassis.outbox import Outbox
    from chassis.publishing import Publisher
    from chassis.testing import drain, signatures_of, signed, wire
    from contracts import billing

    async def die(self, messages, timeout=None):
        signature = messages[0].headers["Vitrine-Signature"]
        os.write(1, signature.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        dsn, url, keys = sys.argv[1:]
        Publisher.publish_all = die
        signing = signatures_of(Path(keys), "billing")
        broker = await Broker.connect(url, name="billing", on_fatal=print, signatures=signing)
        outbox = Outbox(await Database.connect(dsn, schema="toy"), broker, SystemClock())
        asyncio.create_task(outbox.run_publisher())
        async with outbox.begin() as uow:
            command = billing.GrantCredits(
                grant_key="k", user_id=1, credits=1, reason="t", actor="t"
            )
            uow.emit(command)
        await asyncio.sleep(60)

    asyncio.run(main())
"""


async def test_a_kill_between_signing_and_publishing_costs_nothing(
    consume: Start,
    outbox: Outbox,
    database: Database,
    tables: Any,
    database_dsn: str,
    nats_url: str,
    keys: Path,
) -> None:
    """The row is not signed, the message is: after a rotation too it goes out with today's key."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(KILLED), database_dsn, nats_url, str(keys)),
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    old = out.decode().split(".")[1]
    new = signing_keys.new_key("billing")
    signing_keys.write(keys, new)
    (keys / "verify" / f"billing.{old}.pub").unlink()
    assert outbox.broker.signatures is not None
    outbox.broker.signatures.refresh()
    consume()

    async def swept() -> bool:
        return await outbox.sweep() > 0

    await drain(swept, what="the sweeper finds the row")
    await tables.until(handled=1)

    assert process.returncode == -signal.SIGKILL
    assert old != new.key_id
    async with database.read() as connection:
        stored = await connection.fetchval("SELECT headers::text FROM outbox")
    assert HEADER_SIGNATURE not in stored
    assert await tables.done() == ["k"]
    assert await tables.refused() == []
