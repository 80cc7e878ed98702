"""Request and reply over core NATS: reads that are answered within two seconds or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, messaging_spans, tracing
from chassis.broker import Broker
from chassis.errors import TransientError
from chassis.nats_client import NO_RESPONDERS, NatsError, PatchedClient
from chassis.wire import Frame, MessageTooLargeError, publish_frame
from contracts import errors
from contracts.envelope import HEADER_TRACE, Reply, Request, RpcError
from contracts.errors import RefusalError
from contracts.topology import RPC_TIMEOUT

log = logs.get("chassis.rpc")
R = TypeVar("R", bound=Reply)
HEADER_ERROR = "Vitrine-Rpc-Error"
"""Present on an answer that is an RpcError; its value is the code."""
NO_RESPONDERS_PAUSE_SECONDS = 0.05
ANSWERS_AT_ONCE_MAX = 64
REQUESTS_WAITING_MAX = 1_000
BUSY = "busy"
INTERNAL = "internal"
UNAVAILABLE = "unavailable"

Handler = Callable[[Any], Awaitable[Reply]]


class RpcTimeoutError(TransientError):
    """Nobody answered in time."""


class RpcFailedError(TransientError):
    """The other side answered that it cannot; `code` says why."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


async def request(
    broker: Broker,
    message: Request,
    reply_type: type[R],
    *,
    subject: str = "",
    timeout: timedelta = RPC_TIMEOUT,
) -> R:
    """Ask and return the answer. Raises RpcTimeoutError or RpcFailedError.

    `subject` fills in a request whose own subject is a template.
    """
    subject = subject or message.subject
    with tracing.span(
        f"request {subject}",
        kind=SpanKind.CLIENT,
        attributes=messaging_spans.attributes("request", "send", subject),
    ) as span:
        traceparent = tracing.inject(span)
        headers = {HEADER_TRACE: traceparent} if traceparent else {}
        answer = await _ask(broker, subject, message.encode(), headers, timeout.total_seconds())
    if HEADER_ERROR in answer.headers:
        failure = msgspec.msgpack.decode(answer.body, type=RpcError)
        raise RpcFailedError(failure.code, failure.message)
    try:
        return msgspec.msgpack.decode(answer.body, type=reply_type)
    except msgspec.DecodeError as error:
        raise RpcFailedError(errors.INVALID, f"an answer on {subject} is malformed") from error


async def _ask(
    broker: Broker, subject: str, body: bytes, headers: dict[str, str], timeout: float
) -> Frame:
    """Ask, and again while nobody listens: the other side may be about to start."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        left = max(deadline - loop.time(), 0.001)
        try:
            answer = await broker.nc.ask(subject, body, headers, timeout=left)
        except (TimeoutError, NatsError) as error:
            raise RpcTimeoutError(f"no answer on {subject} within {timeout:g} s") from error
        if answer.status != NO_RESPONDERS:
            return answer
        if left < NO_RESPONDERS_PAUSE_SECONDS * 2:
            raise RpcTimeoutError(f"nobody listens on {subject}")
        await asyncio.sleep(NO_RESPONDERS_PAUSE_SECONDS)


async def answer(
    broker: Broker,
    request_type: type[Request],
    handler: Handler,
    *,
    subject: str = "",
    queue: str = "",
    at_once: int = ANSWERS_AT_ONCE_MAX,
) -> Answering:
    """Answer the requests of one type, sharing them with every process of the same queue."""
    subject = subject or request_type.subject
    answering = Answering(broker.nc, request_type, handler, subject, at_once)
    await answering.start(queue or subject.partition(".")[0])
    return answering


class Answering:
    """Runs at most `at_once` handlers; more requests wait, but not longer than anybody does."""

    def __init__(
        self,
        client: PatchedClient,
        request_type: type[Request],
        handler: Handler,
        subject: str,
        at_once: int,
    ) -> None:
        self._client = client
        self._subject = subject
        self._type = request_type
        self._handler = handler
        self._free = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sid = 0

    async def start(self, queue: str) -> None:
        self._sid = await self._client.listen(self._subject, self._on_frame, queue)

    async def stop(self) -> None:
        """Take no more and answer what has been taken."""
        await self._client.unlisten(self._sid)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_frame(self, frame: Frame) -> None:
        if not frame.reply:
            return  # nobody waits for the answer
        if len(self._tasks) >= REQUESTS_WAITING_MAX:
            self._reply(frame.reply, RpcError(code=BUSY))
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._answer(frame, loop.time() + RPC_TIMEOUT.total_seconds()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: Frame, until: float) -> None:
        async with self._free:
            if asyncio.get_running_loop().time() > until:
                log.warning("request_too_old", subject=self._type.subject)
                return
            with tracing.span(
                f"answer {self._type.subject}",
                traceparent=frame.headers.get(HEADER_TRACE, ""),
                kind=SpanKind.SERVER,
                attributes=messaging_spans.attributes("answer", "process", self._type.subject),
            ):
                self._reply(frame.reply, await self._handle(frame))

    async def _handle(self, frame: Frame) -> Reply | RpcError:
        try:
            return await self._handler(self._type.decode(frame.body))
        except RefusalError as refusal:
            return RpcError(code=refusal.code)
        except msgspec.DecodeError:
            return RpcError(code=errors.INVALID)
        except TransientError as error:
            log.warning("answer_unavailable", subject=self._type.subject, reason=str(error))
            return RpcError(code=UNAVAILABLE)
        except Exception:
            log.exception("answer_failed", subject=self._type.subject)
            return RpcError(code=INTERNAL)

    def _reply(self, reply: str, message: Reply | RpcError) -> None:
        headers = {HEADER_ERROR: message.code} if isinstance(message, RpcError) else {}
        try:
            self._client.send_soon([publish_frame(reply, msgspec.msgpack.encode(message), headers)])
        except MessageTooLargeError:
            log.error("answer_too_large", subject=self._type.subject)  # noqa: TRY400
            self._reply(reply, RpcError(code=INTERNAL))
        except NatsError as error:
            log.warning("answer_not_sent", subject=self._type.subject, reason=str(error))
