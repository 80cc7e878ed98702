"""What is over is deleted, what anything live refers to is kept."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chassis.background import Background
from chassis.clock import new_id
from chassis.objects import ObjectMissingError, Objects
from chassis.testing import FakeClock
from contracts.media import MediaRef
from gateway.adapters.sweep import Sweep

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG_AGO = datetime.now(UTC) - timedelta(days=100)


async def stored(objects: Objects, key: str) -> MediaRef:
    await objects.put(key, b"bytes")
    digest = hashlib.sha256(b"bytes").hexdigest()
    return MediaRef(name="a", object_key=key, sha256=digest, mime="image/jpeg", size_bytes=5)


async def exists(objects: Objects, key: str) -> bool:
    try:
        await objects.info(key)
    except ObjectMissingError:
        return False
    return True


async def upload(uow, person: int, ref: MediaRef, used_at: datetime) -> object:
    media_id = new_id()
    await uow.connection.execute(
        "INSERT INTO media (id, user_id, shard, file_unique_id, file_id, size_bytes, mime, state, "
        "due_at, ref, created_at, used_at) "
        "VALUES ($1, $2, 0, $3, 'f', 5, 'image/jpeg', 'available', now(), $4, now(), $5)",
        media_id,
        person,
        str(media_id),
        msgspec.to_builtins(ref),
        used_at,
    )
    return media_id


async def screen(uow, person: int, state: str, media: list, outputs: list[MediaRef]) -> object:
    order_id = new_id()
    await uow.connection.execute(
        "INSERT INTO screens (order_id, user_id, workflow_id, catalogue_version, price_credits, "
        "base_price_credits, priced_at, media_ids, state, outputs, created_at, updated_at) "
        "VALUES ($1, $2, 'w', 1, 0, 0, now(), $3, $4, $5, $6, $6)",
        order_id,
        person,
        media,
        state,
        msgspec.to_builtins(outputs),
        LONG_AGO,
    )
    return order_id


async def test_objects_live_as_long_as_something_refers_to_them(outbox, broker):
    objects = Objects(broker)
    names = ("old", "fresh", "needed", "given", "undelivered")
    refs = {name: await stored(objects, f"sweep/{name}") for name in names}
    async with outbox.begin() as uow:
        await upload(uow, 1, refs["old"], LONG_AGO)
        await upload(uow, 2, refs["fresh"], datetime.now(UTC))
        needed = await upload(uow, 3, refs["needed"], LONG_AGO)
        await screen(uow, 3, "accepted", [needed], [])
        await screen(uow, 4, "completed", [], [refs["given"]])
        waiting = await screen(uow, 5, "completed", [], [refs["undelivered"]])
        await uow.connection.execute(
            "INSERT INTO deliveries (id, user_id, shard, kind, order_id, body, due_at, created_at) "
            "VALUES ($1, 5, 5, 'result', $2, '{}', now(), now())",
            new_id(),
            waiting,
        )

    await Sweep(outbox.database, objects, outbox.clock, Background()).sweep()

    kept = {name for name, ref in refs.items() if await exists(objects, ref.object_key)}
    assert kept == {"fresh", "needed", "undelivered"}


async def test_old_rows_go_and_waiting_deliveries_stay(outbox, broker):
    clock = FakeClock()
    async with outbox.begin() as uow:
        for update_id, received_at in ((1, LONG_AGO), (2, clock.now())):
            await uow.connection.execute(
                "INSERT INTO updates (bot_id, update_id, user_id, received_at, handled_at) "
                "VALUES (1, $1, 1, $2, $2)",
                update_id,
                received_at,
            )
        await uow.connection.execute(
            "INSERT INTO conversations (bot_id, user_id, data, expires_at) "
            "VALUES (1, 1, '{}', $1), (1, 2, '{}', $2)",
            clock.now() - timedelta(seconds=1),
            clock.now() + timedelta(hours=1),
        )
        for state in ("intent", "sent"):
            await uow.connection.execute(
                "INSERT INTO deliveries (id, user_id, shard, kind, body, state, due_at, "
                "created_at, settled_at) VALUES ($1, 9, 9, 'send', '{}', $2::text, $3, $3, "
                "CASE $2::text WHEN 'sent' THEN $3::timestamptz END)",
                new_id(),
                state,
                LONG_AGO,
            )

    await Sweep(outbox.database, Objects(broker), clock, Background()).sweep()

    async with outbox.database.read() as connection:
        updates = await connection.fetch("SELECT update_id FROM updates WHERE bot_id = 1")
        people = await connection.fetch("SELECT user_id FROM conversations WHERE bot_id = 1")
        left = await connection.fetch("SELECT state FROM deliveries WHERE user_id = 9")
    assert [row["update_id"] for row in updates] == [2]
    assert [row["user_id"] for row in people] == [2]
    assert [row["state"] for row in left] == ["intent"]
