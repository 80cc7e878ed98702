"""What tests of the generator share: a bare stream server made a shop, and generators to run."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from chassis.broker import ApiError, Broker
from chassis.clock import SystemClock, new_id
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.service import Service
from chassis.signatures import OFF
from chassis.testing import drain
from chassis.wire import parse_headers
from contracts import catalogue as catalogues
from contracts import generator as messages
from contracts import topology
from contracts.billing import LANE_REGULAR
from contracts.envelope import Headers, Message, contracts_of
from contracts.generator import CancelJob, RunJob, job_subject
from contracts.ids import MessageId, OrderId, UserId
from contracts.media import MediaRef
from contracts.topology import LANES, POOLS, job_consumer
from generator.adapters.claims_kv import KvClaims
from generator.domain.claims import JobRecord
from generator.main import Generator, start
from generator.settings import Settings

TERMINAL = {
    messages.JobSucceeded.subject,
    messages.JobFailed.subject,
    messages.JobCancelled.subject,
}
STREAMS = {"GENERATOR", "JOBS", "EVENTS", "DEAD", "KV_jobs", "KV_leases", "OBJ_media"}
_MESSAGES = contracts_of(messages)


class ToldEvent(msgspec.Struct, frozen=True):
    id: str
    subject: str
    message: Any
    traceparent: str


def photo(width: int = 96, height: int = 64, colour: tuple[int, int, int] = (200, 80, 40)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, "JPEG")
    return target.getvalue()


def write_workflow(
    folder: Path,
    workflow_id: str,
    graph: Mapping[str, Any],
    *,
    pool: str = "image",
    kind: str = "image",
    expected_seconds: float = 1.0,
    inputs: bool = False,
    seeded: bool = False,
) -> None:
    """One workflow folder; node 9 is the output, node 1 reads the photo where there is one.

    Unless `seeded`, a second run finds all but its saving in ComfyUI's cache and is short.
    """
    home = folder / workflow_id
    home.mkdir(parents=True)
    lines = [
        f'id = "{workflow_id}"',
        "version = 1",
        f'pool = "{pool}"',
        'title_key = "t"',
        'description_key = "d"',
        "price_credits = 1",
        "deadline_seconds = 60",
        f"expected_seconds = {expected_seconds}",
        "[[outputs]]",
        'node = "9"',
        f'kind = "{kind}"',
        "[variation]",
        'filename_prefix = [["9", "filename_prefix"]]',
        'seed = [["2", "seed"]]' if seeded else "seed = []",
    ]
    if inputs:
        lines += [
            "[[inputs]]",
            'name = "photo"',
            'kind = "image"',
            'node = "1"',
            'field = "image"',
            "max_bytes = 1000000",
            "max_pixels = 1000000",
        ]
    (home / "manifest.toml").write_text("\n".join(lines))
    (home / "workflow.json").write_text(json.dumps(graph))


def steps_graph(steps: int, step_seconds: float, *, preview: bool = False) -> dict[str, Any]:
    """A graph of the test nodes that runs for a while and can be interrupted."""
    empty = {"width": 64, "height": 64, "batch_size": 1, "color": 2254540}
    work = {
        "image": ["1", 0],
        "seed": 1,
        "steps": steps,
        "step_s": step_seconds,
        "preview": preview,
    }
    return {
        "1": {"class_type": "EmptyImage", "inputs": empty},
        "2": {"class_type": "GenTestSteps", "inputs": work},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": "steps"},
        },
    }


def job_of(order_id: OrderId, workflow_id: str = "fast") -> RunJob:
    return RunJob(
        order_id=order_id,
        user_id=UserId(7),
        workflow_id=workflow_id,
        catalogue_version=1,
        start_before=SystemClock().now() + timedelta(minutes=30),
        deadline_seconds=60.0,
    )


class GeneratorProcess:
    """`python -m generator` as a process of its own, to be killed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        given = self._settings.model_dump(mode="json")
        environment = {f"GENERATOR_{name.upper()}": str(value) for name, value in given.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "generator"],
            env={"PATH": "", **environment},
            stdout=sys.stderr,
        )

    def kill(self) -> None:
        """SIGKILL: it has no chance to say anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def terminate(self) -> None:
        assert self._process is not None
        self._process.terminate()

    async def until_exited(self, within: float = 60.0) -> int:
        process = self._process
        assert process is not None
        await drain(
            lambda: process.poll() is not None,
            within=timedelta(seconds=within),
            what="the generator's exit",
        )
        return process.returncode

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


class Shop:
    """The platform around a generator, as one test sees it."""

    def __init__(self, broker: Broker, url: str) -> None:
        self.broker = broker
        self.url = url
        self.objects = Objects(broker)
        self.claims = KvClaims(broker)
        self.clock = SystemClock()

    async def prepare(self) -> None:
        """Only what a generator meets: the whole topology takes a second for every test."""
        for stream in topology.streams():
            if stream.name in STREAMS:
                config = topology.stream_config(stream)
                await self.broker.api(f"STREAM.CREATE.{stream.name}", config)
        for consumer in topology.consumers():
            if consumer.stream in {"JOBS", "GENERATOR"}:
                config = topology.consumer_config(consumer)
                request = {"stream_name": consumer.stream, "config": config}
                await self.broker.api(f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}", request)

    async def put_photo(self, name: str = "photo", body: bytes | None = None) -> MediaRef:
        content = body if body is not None else photo()
        key = f"inputs/{new_id()}.jpg"
        await self.objects.put(key, content)
        return MediaRef(
            name=name,
            object_key=key,
            sha256=hashlib.sha256(content).hexdigest(),
            mime="image/jpeg",
            size_bytes=len(content),
        )

    async def order(
        self,
        workflow_id: str,
        *,
        pool: str = "image",
        lane: str = LANE_REGULAR,
        inputs: tuple[MediaRef, ...] = (),
        start_within: timedelta = timedelta(minutes=30),
        deadline_seconds: float = 60.0,
        traceparent: str = "",
    ) -> OrderId:
        """Queue one job, as billing does; returns its order id."""
        order_id = OrderId(new_id())
        job = msgspec.structs.replace(
            job_of(order_id, workflow_id),
            start_before=self.clock.now() + start_within,
            deadline_seconds=deadline_seconds,
            inputs=inputs,
        )
        await self.queue(job.encode(), order_id, pool=pool, lane=lane, traceparent=traceparent)
        return order_id

    async def queue(
        self,
        body: bytes,
        order_id: OrderId | None,
        *,
        pool: str = "image",
        lane: str = LANE_REGULAR,
        traceparent: str = "",
    ) -> None:
        headers = Headers(
            id=MessageId(new_id()),
            sent_at=self.clock.now(),
            order_id=order_id,
            traceparent=traceparent,
        )
        await self.broker.publish(job_subject(pool, lane), body, headers.to_wire())

    async def cancel(self, order_id: OrderId, reason: str = "cancelled_by_user") -> None:
        command = CancelJob(order_id=order_id, user_id=UserId(7), reason=reason)
        headers = Headers(id=MessageId(new_id()), order_id=order_id).to_wire()
        await self.broker.publish(command.subject, command.encode(), headers)

    async def told(self, order_id: OrderId | None = None) -> list[ToldEvent]:
        """Every stored event, or those of one order; what was deduplicated is not there."""
        found = []
        for subject, headers, body in await self.stored("EVENTS"):
            message = _MESSAGES[subject].decode(body)
            if order_id is None or getattr(message, "order_id", None) == order_id:
                told_id = headers.get("Nats-Msg-Id", "")
                trace = headers.get("traceparent", "")
                found.append(ToldEvent(told_id, subject, message, trace))
        return found

    async def stored(self, stream: str) -> list[tuple[str, dict[str, str], bytes]]:
        state = (await self.broker.api(f"STREAM.INFO.{stream}"))["state"]
        found = []
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            try:
                answer = await self.broker.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
            except ApiError:
                continue
            message = answer["message"]
            headers = parse_headers(base64.b64decode(message.get("hdrs", "")) or None)
            body = base64.b64decode(message.get("data", ""))
            found.append((message["subject"], headers, body))
        return found

    async def end_of(self, order_id: OrderId, within: float = 60.0) -> Message:
        """Wait for the terminal event of an order."""
        ends: list[Message] = []

        async def ended() -> bool:
            ends[:] = [e.message for e in await self.told(order_id) if e.subject in TERMINAL]
            return bool(ends)

        await drain(ended, within=timedelta(seconds=within), what=f"the end of {order_id}")
        return ends[0]

    async def ends_of(self, order_id: OrderId) -> list[ToldEvent]:
        return [event for event in await self.told(order_id) if event.subject in TERMINAL]

    async def record(self, order_id: OrderId) -> JobRecord | None:
        stored = await self.claims.read(order_id)
        return stored.record if stored else None

    async def until_state(self, order_id: OrderId, *states: str, within: float = 60.0) -> JobRecord:
        records: list[JobRecord] = []

        async def there() -> bool:
            record = await self.record(order_id)
            records[:] = [record] if record and record.state in states else []
            return bool(records)

        await drain(there, within=timedelta(seconds=within), what=f"{order_id} in {states}")
        return records[0]

    async def until_epoch(self, order_id: OrderId, epoch: int, within: float = 60.0) -> JobRecord:
        records: list[JobRecord] = []

        async def there() -> bool:
            record = await self.record(order_id)
            records[:] = [record] if record and record.epoch >= epoch else []
            return bool(records)

        await drain(there, within=timedelta(seconds=within), what=f"{order_id} at {epoch}")
        return records[0]

    async def jobs_left(self) -> int:
        info = await self.broker.api("STREAM.INFO.JOBS")
        return int(info["state"]["messages"])

    async def until_jobs_done(self, within: float = 60.0) -> None:
        async def done() -> bool:
            return await self.jobs_left() == 0

        await drain(done, within=timedelta(seconds=within), what="an empty JOBS stream")

    async def held_leases(self) -> list[str]:
        return await KeyValue(self.broker, "leases").keys()


async def pulls_waiting(shop: Shop, at_least: int) -> bool:
    """Whether generators wait for jobs with so many pulls: four each, one per pool and lane."""
    names = [job_consumer(pool, lane) for pool in POOLS for lane in LANES]
    states = [await shop.broker.consumer_info("JOBS", name) for name in names]
    return sum(state.num_waiting for state in states) >= at_least


@asynccontextmanager
async def open_shop(nats_url: str, *, prepared: bool = True) -> AsyncIterator[Shop]:
    """Streams, consumers and buckets on an empty server."""
    broker = await Broker.connect(nats_url, name="test", on_fatal=_fatal, signatures=OFF)
    try:
        shop = Shop(broker, nats_url)
        if prepared:
            await shop.prepare()
        yield shop
    finally:
        await broker.close()


def _fatal(reason: str) -> None:
    raise AssertionError(reason)


def quick_settings(shop: Shop, comfyui_url: str, catalogue: Path, **changes: Any) -> Settings:
    """Settings with little to wait for; a patience whose end a test wants to see it names itself.

    Where nothing hangs, a busy machine must not look like a server that does.
    """
    values: dict[str, Any] = {
        "nats_url": shop.url,
        "signatures": "off",
        "comfyui_url": comfyui_url,
        "catalogue_dir": catalogue,
        "log_level": "warning",
        "elsewhere_patience": timedelta(seconds=1),
        "quarantine": timedelta(seconds=3),
        "probe_every": timedelta(seconds=0.25),
        "shutdown_grace": timedelta(seconds=6),
        **changes,
    }
    return Settings(**values)


def ahead_settings(shop: Shop, comfyui_url: str, catalogue: Path, **changes: Any) -> Settings:
    """Settings of a generator that claims the next job at once, and keeps it however long."""
    patience = timedelta(minutes=10)
    values = {"late_window": patience, "ahead_patience": patience, **changes}
    return quick_settings(shop, comfyui_url, catalogue, **values)


@asynccontextmanager
async def running_generator(settings: Settings) -> AsyncIterator[Generator]:
    """A whole generator in this process; leaving stops it as SIGTERM would."""
    catalogue = catalogues.load(settings.catalogue_dir)
    async with Service.start("generator", settings) as service:
        yield start(service, settings, catalogue)
