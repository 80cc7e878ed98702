"""Publishing into JetStream: one message awaited, or many as one atomic batch per stream."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

import msgspec

from chassis import logs, messaging_spans
from chassis.deliveries import BrokerUnavailableError
from chassis.errors import TransientError
from chassis.nats_client import NO_RESPONDERS, ConnectionLostError, NatsError, PatchedClient
from chassis.wire import Frame, check_size, publish_frame
from contracts.envelope import HEADER_ID
from contracts.topology import stream_of

log = logs.get("chassis.publishing")
PUBLISH_TIMEOUT = timedelta(seconds=5)
BATCH_MESSAGES_MAX = 1_000
BATCH_BYTES_MAX = 8 << 20
NO_RESPONDERS_PAUSE_SECONDS = 0.1

EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
TTL = "Nats-TTL"
BATCH_ID = "Nats-Batch-Id"
BATCH_SEQUENCE = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
NO_ROOM = frozenset({10077, 10023, 10047, 10028})
"""Stream limits reached; server's resources, storage or memory exhausted."""


class StreamFullError(TransientError):
    """The stream takes no more (`discard=new`): its consumers are behind."""


class WrongSequenceError(TransientError):
    """The last message of the subject is not the expected one: somebody wrote in between."""


class PublishRefusedError(Exception):
    """The server refuses this message for good (too large for the stream, malformed header)."""


class OutgoingMessage(NamedTuple):
    subject: str
    body: bytes
    headers: Mapping[str, str]


class ServerError(msgspec.Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct, frozen=True):
    """Where a message was stored. `duplicate`: its id was stored before, nothing was added."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ServerError | None = None


_decode_ack = msgspec.json.Decoder(PubAck).decode


class Publisher:
    """Publishes over one connection and tells the ways in which that can fail apart."""

    def __init__(self, client: PatchedClient) -> None:
        self._client = client

    async def publish(
        self,
        subject: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        expect_last_subject_sequence: int | None = None,
        ttl: timedelta | None = None,
        timeout: timedelta = PUBLISH_TIMEOUT,
    ) -> PubAck:
        sent = dict(headers or {})
        if expect_last_subject_sequence is not None:
            sent[EXPECTED_SEQUENCE] = str(expect_last_subject_sequence)
        if ttl is not None:
            sent[TTL] = f"{max(1, round(ttl.total_seconds()))}s"
        deadline = asyncio.get_running_loop().time() + timeout.total_seconds()
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                answer = await self._client.ask(subject, body, sent, timeout=max(left, 0.001))
            except ConnectionLostError as error:
                if HEADER_ID in sent:
                    continue  # sent again after the reconnect: the id keeps it from being doubled
                raise BrokerUnavailableError(f"connection lost on {subject}") from error
            except (TimeoutError, NatsError) as error:
                raise BrokerUnavailableError(f"no answer from the stream of {subject}") from error
            if answer.status != NO_RESPONDERS:
                return check_ack(answer, subject)
            # Nothing was stored: the stream's leader is being elected, or it is still loading.
            if left < NO_RESPONDERS_PAUSE_SECONDS:
                raise BrokerUnavailableError(f"no stream answers for {subject}")
            await asyncio.sleep(NO_RESPONDERS_PAUSE_SECONDS)

    async def publish_all(
        self, messages: Sequence[OutgoingMessage], timeout: timedelta = PUBLISH_TIMEOUT
    ) -> list[bool]:
        """Return for each message whether it is stored; what is not may be sent again."""
        for message in messages:
            check_size(message.subject, message.body)
        stored = [False] * len(messages)
        await asyncio.gather(
            *(
                self._publish_stream(stream, indexes, messages, stored, timeout)
                for stream, indexes in _by_stream(messages).items()
            )
        )
        return stored

    async def _publish_stream(
        self,
        stream: str,
        indexes: Sequence[int],
        messages: Sequence[OutgoingMessage],
        stored: list[bool],
        timeout: timedelta,
    ) -> None:
        """One stream's messages, batch by batch; a full stream ends it, another failure not."""
        for part in _batches(indexes, messages):
            chosen = [messages[index] for index in part]
            try:
                with messaging_spans.publishing_batch(chosen):
                    done = await self._publish_batch(chosen, timeout)
            except StreamFullError:
                log.warning("stream_full", stream=stream, messages=len(chosen))
                return
            except BrokerUnavailableError as error:
                log.warning("publish_postponed", stream=stream, reason=str(error))
                return
            for index, ok in zip(part, done, strict=True):
                stored[index] = ok

    async def _publish_batch(
        self, messages: Sequence[OutgoingMessage], timeout: timedelta
    ) -> list[bool]:
        if len(messages) > 1:
            try:
                await self._publish_atomically(messages, timeout)
            except (PublishRefusedError, WrongSequenceError) as error:
                # Mostly an id that is stored already: the sweeper and we sent the same row.
                log.info("batch_sent_one_by_one", messages=len(messages), reason=str(error))
            else:
                return [True] * len(messages)
        return await self._publish_each(messages, timeout)

    async def _publish_atomically(
        self, messages: Sequence[OutgoingMessage], timeout: timedelta
    ) -> None:
        """Send an ADR-50 batch: all of it is stored, or nothing is."""
        batch_id = uuid4().hex
        last = len(messages)
        frames: list[bytes] = []
        begun_reply, begun = self._client.expect_reply()
        ended_reply, ended = self._client.expect_reply()
        for number, message in enumerate(messages, 1):
            headers = dict(message.headers)
            headers[BATCH_ID] = batch_id
            headers[BATCH_SEQUENCE] = str(number)
            reply = begun_reply if number == 1 else ""
            if number == last:
                headers[BATCH_COMMIT] = "1"
                reply = ended_reply
            frames.append(publish_frame(message.subject, message.body, headers, reply))
        try:
            await self._client.send(frames)
            async with asyncio.timeout(timeout.total_seconds()):
                # A refusal of the first (batches are off, too many are open) comes at once.
                first = await begun
                if first.body or first.status:
                    check_ack(first, messages[0].subject)
                check_ack(await ended, messages[-1].subject)
        except (TimeoutError, NatsError) as error:
            raise BrokerUnavailableError("no answer to a batch") from error
        finally:
            self._client.forget_reply(begun_reply)
            self._client.forget_reply(ended_reply)

    async def _publish_each(
        self, messages: Sequence[OutgoingMessage], timeout: timedelta
    ) -> list[bool]:
        """Send messages one by one without waiting in between; a duplicate counts as stored."""
        asked = [self._client.expect_reply() for _ in messages]
        done: list[bool] = []
        full = False
        try:
            await self._client.send(
                publish_frame(message.subject, message.body, message.headers, reply)
                for message, (reply, _) in zip(messages, asked, strict=True)
            )
            async with asyncio.timeout(timeout.total_seconds()):
                for message, (_, answer) in zip(messages, asked, strict=True):
                    try:
                        check_ack(await answer, message.subject)
                        done.append(True)
                    except (StreamFullError, BrokerUnavailableError):
                        full = True
                        done.append(False)
                    except (PublishRefusedError, WrongSequenceError) as error:
                        log.error(  # noqa: TRY400 - the sentence says it, a trace adds nothing
                            "publish_refused",
                            subject=messaging_spans.template_of(message.subject),
                            message_id=message.headers.get(HEADER_ID, ""),
                            reason=str(error),
                        )
                        done.append(False)
        except (TimeoutError, NatsError):
            done += [False] * (len(messages) - len(done))
        finally:
            for reply, _ in asked:
                self._client.forget_reply(reply)
        if full and not any(done):
            raise StreamFullError(messages[0].subject)
        return done


def check_ack(answer: Frame, subject: str) -> PubAck:
    """Return the acknowledgement, or raise what a refusal means."""
    if answer.status == NO_RESPONDERS:
        raise BrokerUnavailableError(f"no stream answers for {subject}")
    try:
        ack = _decode_ack(answer.body)
    except msgspec.DecodeError as error:
        raise BrokerUnavailableError(f"no JetStream answer for {subject}") from error
    if ack.error is None:
        return ack
    sentence = f"{ack.error.err_code} {ack.error.description}"
    if ack.error.err_code in WRONG_LAST_SEQUENCE:
        raise WrongSequenceError(sentence)
    if ack.error.err_code in NO_ROOM:
        raise StreamFullError(sentence)
    if ack.error.code == NO_RESPONDERS:
        raise BrokerUnavailableError(sentence)
    raise PublishRefusedError(sentence)


def _by_stream(messages: Sequence[OutgoingMessage]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, message in enumerate(messages):
        groups[stream_of(message.subject)].append(index)
    return groups


def _batches(indexes: Sequence[int], messages: Sequence[OutgoingMessage]) -> Iterator[list[int]]:
    """Cut a stream's messages at what the server takes in one batch."""
    part: list[int] = []
    size = 0
    for index in indexes:
        weight = len(messages[index].body)
        if part and (len(part) == BATCH_MESSAGES_MAX or size + weight > BATCH_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(index)
        size += weight
    if part:
        yield part
