"""Key-value buckets over raw stream operations: compare-and-set, expiry, watching."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from chassis.broker import Broker
from chassis.deliveries import BrokerUnavailableError
from chassis.errors import TransientError
from chassis.key_watch import Change, Entry, KeyWatch, is_deleted
from chassis.keys import decode_key, encode_key
from chassis.leases import Lease
from chassis.publishing import WrongSequenceError
from chassis.signatures import Signatures
from chassis.stored_messages import Stored, last_message
from contracts.envelope import HEADER_ID

__all__ = [
    "Change",
    "Entry",
    "KeyExistsError",
    "KeyValue",
    "KeyWatch",
    "Lease",
    "WrongRevisionError",
]

WRITE_ATTEMPTS_MAX = 3
WRITE_TIMEOUT = timedelta(seconds=2)
OPERATION = "KV-Operation"
ABSENT = 0
"""The revision of a key that was never written."""


class KeyExistsError(TransientError):
    """`create` found the key: somebody was first."""


class WrongRevisionError(TransientError):
    """The key is not at the revision named: somebody wrote, or it expired."""


class _Last(NamedTuple):
    value: bytes
    revision: int
    id: str
    deleted: bool


class KeyValue:
    """One bucket. Reads go to the stream's leader: what was written is what is read."""

    def __init__(
        self, broker: Broker, bucket: str, *, signatures: Signatures | None = None
    ) -> None:
        """With `signatures`, a value nobody vouches for counts as deleted; watches see it still."""
        self._broker = broker
        self._signatures = signatures
        self.bucket = bucket
        self.stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."

    async def get(self, key: str) -> Entry | None:
        last = await self._last(key)
        if last is None or last.deleted:
            return None
        return Entry(last.value, last.revision)

    async def create(self, key: str, value: bytes, ttl: timedelta | None = None) -> int:
        """Write a key that does not exist; return its revision. Raises KeyExistsError."""
        expected = ABSENT
        for _ in range(WRITE_ATTEMPTS_MAX):
            try:
                return await self._write(key, value, expected=expected, ttl=ttl)
            except WrongSequenceError:
                last = await self._last(key)
                if last is not None and not last.deleted:
                    break
                # A deletion (or a server's expiry marker) is the key's last message.
                expected = ABSENT if last is None else last.revision
        raise KeyExistsError(f"{self.bucket}/{key}")

    async def update(
        self, key: str, value: bytes, revision: int, ttl: timedelta | None = None
    ) -> int:
        """Write over exactly `revision`; return the new one. Raises WrongRevisionError.

        An answer that got lost is no ambiguity: the write is repeated, and its id recognised.
        """
        try:
            return await self._write(key, value, expected=revision, ttl=ttl)
        except WrongSequenceError as error:
            raise WrongRevisionError(f"{self.bucket}/{key} is not at {revision}") from error

    async def put(self, key: str, value: bytes, ttl: timedelta | None = None) -> int:
        """Write whatever was there before."""
        return await self._write(key, value, ttl=ttl)

    async def delete(
        self, key: str, revision: int | None = None, ttl: timedelta | None = None
    ) -> None:
        """Leave a tombstone (for `ttl`, where the bucket allows it). Raises WrongRevisionError."""
        try:
            await self._write(key, b"", expected=revision, ttl=ttl, operation="DEL")
        except WrongSequenceError as error:
            raise WrongRevisionError(f"{self.bucket}/{key} is not at {revision}") from error

    async def keys(self) -> list[str]:
        """Return every key that has a value now."""
        watch = self.watch()
        try:
            return [change.key async for change in watch.initial() if change.entry is not None]
        finally:
            await watch.stop()

    def watch(self, prefix: str = "", *, keys: Iterable[str] | None = None) -> KeyWatch:
        """Iterate over current values, then over changes: of all keys, a prefix, or exact keys.

        It survives reconnects and restarts of the server. Of several changes of one key the
        reader may see only the latest. That a key expired is not announced.
        """
        filters = [f"{self._prefix}>"]
        if keys is not None:
            filters = [self._prefix + encode_key(key) for key in keys]
        elif prefix.endswith(".") and len(prefix) > 1:
            filters = [f"{self._prefix}{encode_key(prefix[:-1])}.>"]
        accept: Callable[[str], bool] = lambda key: key.startswith(prefix)  # noqa: E731
        return KeyWatch(self._broker, self.stream, filters, self._key_of, accept)

    def _key_of(self, subject: str) -> str:
        return decode_key(subject[len(self._prefix) :])

    async def _write(
        self,
        key: str,
        value: bytes,
        *,
        expected: int | None = None,
        ttl: timedelta | None = None,
        operation: str = "",
    ) -> int:
        headers = {HEADER_ID: uuid4().hex}
        if operation:
            headers[OPERATION] = operation
        for attempt in range(1, WRITE_ATTEMPTS_MAX + 1):
            try:
                ack = await self._broker.publish(
                    self._prefix + encode_key(key),
                    value,
                    headers,
                    expect_last_subject_sequence=expected,
                    ttl=ttl,
                    timeout=WRITE_TIMEOUT,
                    traced=False,
                )
            except BrokerUnavailableError:
                if attempt == WRITE_ATTEMPTS_MAX:
                    raise
            except WrongSequenceError:
                # The server compares sequences before ids: was it our own write, the answer
                # to which was lost?
                last = await self._last(key)
                if last is None or last.id != headers[HEADER_ID]:
                    raise
                return last.revision
            else:
                return ack.seq
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _last(self, key: str) -> _Last | None:
        found = await last_message(self._broker, self.stream, self._prefix + encode_key(key))
        if found is None:
            return None
        markers = self._broker.nc.mitigations.markers
        deleted = is_deleted(found.headers, markers=markers)
        return _Last(
            found.body,
            found.sequence,
            found.headers.get(HEADER_ID, ""),
            deleted or not self._vouched(key, found),
        )

    def _vouched(self, key: str, found: Stored) -> bool:
        """Whether its writer is proven. Raises TransientError while its key is not known (yet)."""
        if self._signatures is None:
            return True
        subject = self._prefix + encode_key(key)
        refusal = self._signatures.judge(subject, found.headers, found.body).refusal
        if refusal is not None and refusal.later:
            raise TransientError(f"{self.bucket}/{key} is signed with an unknown key")
        return refusal is None
