"""What operators ask of a service's parked messages, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
from rich.console import Console
from rich.table import Table

from chassis import parked, rpc
from chassis.broker import ApiError, Broker
from chassis.clock import SystemClock
from chassis.errors import TransientError
from contracts import (
    billing,
    gateway,
    generator,
    operators,
    payments,
    rewards,
    scheduler,
    topology,
    vpn,
)
from contracts.envelope import contracts_of
from vitrine_tools import screen
from vitrine_tools.screen import plain

SERVICES = tuple(name for name in topology.SERVICES if name != "generator")
SUBJECT_OF_GENERATOR = "dead.generator"
CONTRACTS = contracts_of(operators, gateway, billing, payments, rewards, generator, vpn, scheduler)
LIMIT = 50
LIMIT_MAX = parked.LIST_MAX - 1
"""One less than a service hands over: the one more says that there are more."""


class DeadError(Exception):
    """What could not be done, as a sentence for the operator; the command ends with 1."""


async def show_list(broker: Broker, services: Sequence[str], state: str, limit: int) -> None:
    """List what answers; then raise DeadError naming what did not."""
    request = parked.ListParked(state=state, limit=limit + 1)
    asked = [_ask(broker, service, request) for service in services]
    found = await asyncio.gather(*asked, return_exceptions=True)
    table = Table("service")
    table.add_column("id", min_width=36)  # to be copied into the next command
    for name in ("subject", "reason", "age", "trace"):
        table.add_column(name)
    more, silent = [], []
    for service, answer in zip(services, found, strict=True):
        if isinstance(answer, DeadError):
            silent.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            _add(table, service, answer.rows[:limit])
            if len(answer.rows) > limit:
                more.append(service)
    console = screen.console()
    if table.row_count:
        console.print(table)
    elif not silent:
        console.print("nothing is parked")
    for service in more:
        advice = "use --limit" if limit < LIMIT_MAX else "handle these first"
        console.print(f"{service}: more than {limit}, these are the newest; {advice}")
    if len(services) > 1:
        silent += await _tell_generator(broker, console)
    if silent:
        raise DeadError("\n".join(silent))


def _add(table: Table, service: str, rows: Sequence[parked.ParkedRow]) -> None:
    now = SystemClock().now()
    for row in rows:
        age = str(now - row.parked_at).split(".", maxsplit=1)[0]
        shown = (service, row.id, row.subject, row.reason, age, row.traceparent[3:35])
        table.add_row(*map(plain, shown))


async def _tell_generator(broker: Broker, console: Console) -> list[str]:
    """Count what the one service without a database could not handle."""
    request = {"subjects_filter": SUBJECT_OF_GENERATOR}
    try:
        info = await broker.api("STREAM.INFO.DEAD", request)
    except (ApiError, TransientError) as error:
        return [f"generator: the stream DEAD did not answer ({error})"]
    if dead := int((info["state"].get("subjects") or {}).get(SUBJECT_OF_GENERATOR, 0)):
        place = f"in the stream DEAD, subject {SUBJECT_OF_GENERATOR}"
        console.print(f"generator (no database): {dead} {place}", soft_wrap=True)
    return []


async def show_one(broker: Broker, service: str, parked_id: UUID) -> None:
    row = await _row(broker, service, parked_id)
    shown = {**msgspec.to_builtins(row), "body": _readable(row)}
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    print(screen.plain_lines(text))
    if len(row.body) >= parked.BODY_SHOWN_BYTES_MAX:
        raise DeadError(f"only the first {parked.BODY_SHOWN_BYTES_MAX} bytes of the body are shown")


def _readable(row: parked.ParkedRow) -> object:
    kind = CONTRACTS.get(row.subject)
    try:
        return msgspec.to_builtins(kind.decode(row.body)) if kind else row.body.hex()
    except msgspec.DecodeError:
        return row.body.hex()


async def redrive(broker: Broker, service: str, parked_id: UUID, actor: str) -> None:
    """Release the message, and tell how that ended rather than that it was asked."""
    before = await _row(broker, service, parked_id)
    if before.state == "done":
        print("it was handled before: nothing was done")
        return
    subject = parked.RedriveParked.subject.format(service=service)
    request = parked.RedriveParked(id=parked_id, actor=actor)
    try:
        await rpc.request(broker, request, parked.Redriven, subject=subject)
    except rpc.RpcTimeoutError:
        print(f"{service} works on it for longer than an answer may take")
    except rpc.RpcFailedError as error:
        raise DeadError(
            f"{service} could not: {plain(error)}; asking again does no harm"
        ) from error
    after = await _row(broker, service, parked_id)
    if after.state == "parked":
        raise DeadError(f"it is parked again: {plain(after.reason)}")
    print("handled again" if after.state == "done" else "released: it is about to be handled")


async def _row(broker: Broker, service: str, parked_id: UUID) -> parked.ParkedRow:
    found = await _ask(broker, service, parked.ShowParked(id=parked_id))
    if not found.rows:
        raise DeadError(f"{service} has no parked message {parked_id}")
    return found.rows[0]


async def _ask(
    broker: Broker, service: str, request: parked.ListParked | parked.ShowParked
) -> parked.ParkedList:
    subject = request.subject.format(service=service)
    try:
        return await rpc.request(broker, request, parked.ParkedList, subject=subject)
    except (rpc.RpcTimeoutError, rpc.RpcFailedError) as error:
        raise DeadError(f"{service} did not answer: {plain(error)}") from error
