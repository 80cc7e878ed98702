"""Reading what a stream holds: the last message of a subject, or all of them in order."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from chassis.broker import ApiError, Broker
from chassis.deliveries import BrokerUnavailableError
from chassis.nats_client import NatsError
from chassis.wire import Frame, parse_headers, publish_frame

MESSAGES_AT_ONCE = 16
ANSWER_SECONDS_MAX = 5.0
ATTEMPTS_MAX = 5
RETRY_SECONDS = 0.2
NOT_FOUND = 404
NO_MESSAGE = 10037
NO_RESPONDERS = 503
SEQUENCE = "Nats-Sequence"


class Stored(NamedTuple):
    body: bytes
    sequence: int
    headers: dict[str, str]


async def last_message(broker: Broker, stream: str, subject: str) -> Stored | None:
    """Return the last message of a subject, as the stream's leader knows it."""
    try:
        answer = await broker.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    except ApiError as error:
        if error.err_code == NO_MESSAGE:
            return None
        if error.code == NOT_FOUND:
            raise BrokerUnavailableError(f"the stream {stream} is not there yet") from error
        raise
    message = answer["message"]
    raw_headers = base64.b64decode(message.get("hdrs", "")) or None
    body = base64.b64decode(message.get("data", ""))
    return Stored(body, message["seq"], parse_headers(raw_headers))


class MessageReader:
    """Reads by batched direct gets, which can be resumed; the stream has `allow_direct`."""

    def __init__(self, broker: Broker, stream: str) -> None:
        self._broker = broker
        self._subject = f"$JS.API.DIRECT.GET.{stream}"

    async def messages(self, subject: str, expected: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bodies on `subject` in order, all there are or until `expected` are read.

        A replica that lags behind is asked again: it answers before it has everything.
        """
        sequence = 1
        count = 0
        attempts = 0
        while expected is None or count < expected:
            try:
                found = await self._fetch(subject, sequence)
            except BrokerUnavailableError:
                attempts += 1
                if attempts == ATTEMPTS_MAX:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not found:
                attempts += 1
                if expected is None or attempts == ATTEMPTS_MAX:
                    return
                await asyncio.sleep(RETRY_SECONDS)
                continue
            attempts = 0
            for message in found:
                yield message.body
            count += len(found)
            sequence = found[-1].sequence + 1

    async def _fetch(self, subject: str, sequence: int) -> list[Stored]:
        client = self._broker.nc
        inbox = client.new_inbox()
        frames: deque[Frame] = deque()
        ended = asyncio.Event()

        def on_frame(frame: Frame) -> None:
            if frame.status:
                ended.set()
            frames.append(frame)

        request = {"seq": sequence, "next_by_subj": subject, "batch": MESSAGES_AT_ONCE}
        try:
            sid = await client.listen(inbox, on_frame)
            try:
                await client.send(
                    [publish_frame(self._subject, msgspec.json.encode(request), reply=inbox)]
                )
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    await ended.wait()
            finally:
                await client.unlisten(sid)
        except (TimeoutError, NatsError) as error:
            raise BrokerUnavailableError("no answer to a direct get") from error
        if any(frame.status == NO_RESPONDERS for frame in frames):
            raise BrokerUnavailableError("no stream answers a direct get")
        found = [(frame.body, frame.headers) for frame in frames if not frame.status]
        return [Stored(body, int(headers[SEQUENCE]), headers) for body, headers in found]
