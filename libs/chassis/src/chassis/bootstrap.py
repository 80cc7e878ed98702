"""Bring the server's streams and consumers to what contracts.topology declares, and say how."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis import logs
from chassis.broker import ApiError, Broker
from chassis.deliveries import BrokerUnavailableError
from chassis.errors import ConfigurationError
from chassis.identity import Identity
from contracts import topology
from contracts.permissions import BOOTSTRAP

log = logs.get("chassis.bootstrap")
EXIT_MISCONFIGURED = 2
NOT_FOUND = 404
NO_PEERS = 10005
"""Fewer servers than replicas: of a cluster that starts, the others are about to join."""
PATIENCE = timedelta(seconds=60)
RETRY_SECONDS = 0.25
AT_ONCE_MAX = 8
EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})
"""What the server leaves out of a configuration."""


class BootstrapError(Exception):
    """The server refused part of the topology; every refusal is listed."""


class Settings(BaseSettings):
    """`VITRINE_REPLICAS=3`, `VITRINE_MAX_BYTES='{"JOBS": 1073741824}'`."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", populate_by_name=True)

    nats_url: str = Field(default="nats://127.0.0.1:4222", validation_alias="NATS_URL")
    nats_tls_dir: str = Field(default="", validation_alias="NATS_TLS_DIR")
    nats_seed_file: str = Field(default="", validation_alias="NATS_SEED_FILE")
    replicas: int = 1
    max_bytes: dict[str, int] = {}


async def apply(
    broker: Broker,
    *,
    replicas: int = 1,
    max_bytes: Mapping[str, int] | None = None,
    only: Collection[str] | None = None,
    dry_run: bool = False,
) -> list[str]:
    """Create what is missing and update what differs; return a line for each change.

    `only` names the streams to care for (tests need few); else it is the whole topology.

    No stream is ever deleted or purged: a change the server can only make by starting anew is
    refused, and BootstrapError says which.
    """
    limits = dict(max_bytes or {})
    streams = []
    for stream in topology.streams():
        wanted = topology.stream_config(stream, replicas=replicas)
        wanted["max_bytes"] = limits.pop(stream.name, wanted["max_bytes"])
        if only is None or stream.name in only:
            streams.append(_Stream(broker, stream.name, wanted))
    consumers = [
        _Consumer(broker, consumer, topology.consumer_config(consumer))
        for consumer in topology.consumers()
        if only is None or consumer.stream in only
    ]
    outcome = _Outcome(dry_run=dry_run)
    if limits:
        outcome.refused.append(f"max_bytes names streams that do not exist: {sorted(limits)}")
    await outcome.settle(streams)
    await outcome.settle(consumers)
    if outcome.refused:
        raise BootstrapError("; ".join(outcome.refused))
    return outcome.changes


class _Stream:
    def __init__(self, broker: Broker, name: str, wanted: dict[str, Any]) -> None:
        self.broker = broker
        self.wanted = wanted
        self.title = f"stream {name}"
        self._name = name

    async def info(self) -> dict[str, Any]:
        return await _patiently(self.broker, f"STREAM.INFO.{self._name}")

    async def create(self) -> None:
        await _patiently(self.broker, f"STREAM.CREATE.{self._name}", self.wanted)

    async def update(self, config: dict[str, Any]) -> None:
        await _patiently(self.broker, f"STREAM.UPDATE.{self._name}", config)


class _Consumer:
    """By the raw API: nats-py knows no priority policy and would drop it on an update."""

    def __init__(self, broker: Broker, consumer: topology.Consumer, wanted: dict[str, Any]) -> None:
        self.broker = broker
        self.wanted = wanted
        self.title = f"consumer {consumer.stream}/{consumer.name}"
        self._stream = consumer.stream
        self._place = f"{consumer.stream}.{consumer.name}"

    async def info(self) -> dict[str, Any]:
        return await _patiently(self.broker, f"CONSUMER.INFO.{self._place}")

    async def create(self) -> None:
        await self._write(self.wanted, "create")

    async def update(self, config: dict[str, Any]) -> None:
        await self._write(config, "update")

    async def _write(self, config: dict[str, Any], action: str) -> None:
        await _patiently(
            self.broker,
            f"CONSUMER.CREATE.{self._place}",
            {"stream_name": self._stream, "config": config, "action": action},
        )


class _Outcome:
    """What was changed and what was refused, in the order of the table."""

    def __init__(self, *, dry_run: bool) -> None:
        self.changes: list[str] = []
        self.refused: list[str] = []
        self._dry_run = dry_run

    async def settle(self, items: Sequence[_Stream | _Consumer]) -> None:
        """Make streams or consumers what they should be, a few at a time."""
        free = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(item: _Stream | _Consumer) -> tuple[str, str]:
            async with free:
                return await self._settle_one(item)

        for change, refusal in await asyncio.gather(*(one(item) for item in items)):
            self.changes += [change] if change else []
            self.refused += [refusal] if refusal else []

    async def _settle_one(self, item: _Stream | _Consumer) -> tuple[str, str]:
        """Return what was changed, and what was refused."""
        current = None
        try:
            current = (await item.info())["config"]
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise
        wish = "create" if current is None else difference(current, item.wanted)
        try:
            if wish and not self._dry_run:
                if current is None:
                    await item.create()
                else:
                    # What the server holds beside our fields goes back as it was.
                    await item.update(_without_absent(current, item.wanted) | item.wanted)
        except ApiError as error:
            return "", f"{item.title} ({wish}) is refused by the server: {error.description}"
        if current is None:
            return f"{item.title} created", ""
        return (f"{item.title} updated: {wish}", "") if wish else ("", "")


def difference(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name each wanted field that differs; empty when all are as wanted."""
    parts = []
    for name, value in wanted.items():
        now = current.get(name)
        if now == value or (now in EMPTY and value in EMPTY):
            continue
        parts.append(f"{name} {_shown(now)} -> {_shown(value)}")
    parts += [
        f"{name} {_shown(current[name])} -> none"
        for name in _exclusive(wanted)
        if current.get(name) not in EMPTY
    ]
    return ", ".join(parts)


def _exclusive(wanted: Mapping[str, Any]) -> list[str]:
    """A consumer has one filter or a list of them: having one means giving up the other."""
    pair = {"filter_subject": "filter_subjects", "filter_subjects": "filter_subject"}
    return [other for name, other in pair.items() if name in wanted]


def _without_absent(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    gone = _exclusive(wanted)
    return {name: value for name, value in current.items() if name not in gone}


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _patiently(
    broker: Broker, verb: str, request: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask again while JetStream is still loading or electing. Everything here may be repeated."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE.total_seconds()
    while True:
        try:
            return await broker.api(verb, request)
        except (BrokerUnavailableError, ApiError) as error:
            forming = isinstance(error, BrokerUnavailableError) or error.err_code == NO_PEERS
            if not forming or loop.time() > deadline:
                raise
            await asyncio.sleep(RETRY_SECONDS)


async def run(settings: Settings, *, dry_run: bool = False) -> int:
    """Apply the topology and print what changed; return the exit code."""
    fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_fatal(reason: str) -> None:
        if not fatal.done():
            fatal.set_result(reason)

    identity = Identity(
        user=BOOTSTRAP, tls_dir=settings.nats_tls_dir, seed_file=settings.nats_seed_file
    )
    broker = await Broker.connect(
        settings.nats_url, name="bootstrap", identity=identity, on_fatal=on_fatal
    )
    try:
        changes = await apply(
            broker, replicas=settings.replicas, max_bytes=settings.max_bytes, dry_run=dry_run
        )
    except (BootstrapError, BrokerUnavailableError) as error:
        reason = fatal.result() if fatal.done() else str(error)
        sys.stderr.write(f"bootstrap failed: {reason}\n")
        return 1
    finally:
        await broker.close()
    for line in changes or ["nothing to change"]:
        sys.stdout.write(f"{'would be: ' if dry_run and changes else ''}{line}\n")
    return 0


def main() -> None:
    arguments = sys.argv[1:]
    if arguments not in ([], ["--dry-run"]):
        sys.stderr.write("usage: bootstrap [--dry-run]\n")
        raise SystemExit(2)
    try:
        raise SystemExit(asyncio.run(run(Settings(), dry_run=bool(arguments))))
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from error


if __name__ == "__main__":
    main()
