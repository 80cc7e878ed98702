"""Calls the Bot API: one method for every call, its failures sorted by what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, tracing
from chassis.errors import TransientError
from chassis.secrets import Secret

log = logs.get("gateway.telegram")
CONNECTIONS_MAX = 100
CONNECT_TIMEOUT_SECONDS = 5.0
FAILING_AFTER_SECONDS = 30.0
"""One failed call says little; readiness is lost when none succeeded for so long."""
READY_TIMEOUT = timedelta(seconds=1.5)
CHUNK_BYTES = 1 << 20
RETRY_AFTER_DEFAULT = timedelta(seconds=1)

calls_count = metrics.counter("gateway.telegram.calls", description="by method and outcome")
calls_seconds = metrics.histogram("gateway.telegram.call_seconds")
throttled_count = metrics.counter("gateway.telegram.throttled", description="answers 429")


class UnreachableError(TransientError):
    """No answer, a 5xx, or an unreadable one: the call may have been carried out all the same."""


class ThrottledError(TransientError):
    """429: nothing of this bot may be sent for `retry_after`."""


class ConflictError(TransientError):
    """409: somebody else polls, or a webhook is set."""


class UnauthorizedError(TransientError):
    """401 or 404: the token is wrong or was revoked. An operator must act; nothing is dropped."""


class BlockedError(Exception):
    """403, or a chat that is gone: this person cannot be written to."""


class RejectedError(Exception):
    """400: this call can never succeed as it is. `description` is Telegram's."""

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class UnchangedError(RejectedError):
    """The edit would change nothing: it has been done."""


class GoneError(RejectedError):
    """The message to edit or delete does not exist or may no longer be edited."""


class NotTextError(RejectedError):
    """The message has no text to edit: it is a picture or a video with a caption."""


class StaleFileError(RejectedError):
    """Telegram does not know this file_id (any more)."""


class FileTooLargeError(Exception):
    """The file is over the limit, whatever was announced."""


class _Parameters(msgspec.Struct):
    retry_after: float = 0.0


class _Response(msgspec.Struct):
    ok: bool = False
    result: msgspec.Raw = msgspec.Raw(b"null")
    error_code: int = 0
    description: str = ""
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


_RESPONSE = msgspec.json.Decoder(_Response)
_REJECTIONS: tuple[tuple[str, type[RejectedError]], ...] = (
    ("message is not modified", UnchangedError),
    ("message to edit not found", GoneError),
    ("message to delete not found", GoneError),
    ("message can't be edited", GoneError),
    ("message can't be deleted", GoneError),
    ("message_id_invalid", GoneError),
    ("there is no text in the message", NotTextError),
    ("wrong file identifier", StaleFileError),
    ("wrong remote file", StaleFileError),
    ("file_reference_expired", StaleFileError),
)
_UNREACHABLE_CHATS = ("chat not found", "user not found", "peer_id_invalid")


class Telegram:
    """One bot's connection to the Bot API.

    The token never leaves this object: not into a log, an error or a span. It is asked for at each
    call, for it may be replaced; it stays one bot's.
    """

    def __init__(
        self, *, token: Secret, api_url: str, timeout: timedelta, local: bool = False
    ) -> None:
        self.bot_id = int(token().split(":", 1)[0])
        self.local = local
        self._base = api_url.rstrip("/")
        self._token = token
        self._timeout = timeout.total_seconds()
        self._session: aiohttp.ClientSession | None = None
        self.attempted_at = 0.0
        self.succeeded_at = 0.0
        self.problem: str | None = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=60),
                auto_decompress=True,
            )
        return self._session

    def _method_url(self, method: str) -> str:
        return f"{self._base}/bot{self._token()}/{method}"

    def _file_url(self, file_path: str) -> str:
        return f"{self._base}/file/bot{self._token()}/{file_path.lstrip('/')}"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def ready(self) -> str | None:
        """Say what is wrong, or None: a readiness check. It asks Telegram only if nobody did."""
        if not self.attempted_at:
            try:
                await self.call("getMe", timeout=READY_TIMEOUT)
            except (TransientError, RejectedError, BlockedError) as error:
                return f"Telegram: {type(error).__name__}"
        silence = asyncio.get_running_loop().time() - self.succeeded_at
        failing = self.problem is not None and silence > FAILING_AFTER_SECONDS
        return f"Telegram: {self.problem}" if failing else None

    async def call(
        self,
        method: str,
        payload: Mapping[str, Any] | None = None,
        *,
        upload: tuple[str, str, Path] | None = None,
        timeout: timedelta | None = None,
    ) -> Any:
        """Call a method and return its decoded result. `upload` = (field, file name, file).

        Raises the errors of this module; none of them names a URL.
        """
        outcome = "ok"
        started = asyncio.get_running_loop().time()
        attributes = {"rpc.system": "telegram", "rpc.method": method}
        with tracing.span(f"telegram {method}", kind=SpanKind.CLIENT, attributes=attributes):
            try:
                body = await self._post(method, payload or {}, upload, timeout)
                return _result(*body)
            except (TransientError, BlockedError, RejectedError) as error:
                outcome = type(error).__name__
                raise
            finally:
                took = asyncio.get_running_loop().time() - started
                self._remember(method, outcome, took)

    def _remember(self, method: str, outcome: str, took: float) -> None:
        labels = {"method": method, "outcome": outcome}
        calls_count.add(1, labels)
        calls_seconds.record(took, {"method": method})
        if outcome == ThrottledError.__name__:
            throttled_count.add(1)
        self.attempted_at = asyncio.get_running_loop().time()
        if outcome in (UnreachableError.__name__, UnauthorizedError.__name__):
            self.problem = outcome
        else:
            self.succeeded_at = self.attempted_at
            self.problem = None

    async def _post(
        self,
        method: str,
        payload: Mapping[str, Any],
        upload: tuple[str, str, Path] | None,
        timeout: timedelta | None,
    ) -> tuple[int, bytes]:
        seconds = timeout.total_seconds() if timeout else self._timeout
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_TIMEOUT_SECONDS)
        try:
            if upload is None:
                request = self._http().post(
                    self._method_url(method),
                    data=msgspec.json.encode(payload),
                    headers={"content-type": "application/json"},
                    timeout=limit,
                )
                async with request as response:
                    return response.status, await response.read()
            field, name, path = upload
            with path.open("rb") as content:
                form = _form(payload)
                form.add_field(field, content, filename=name)
                async with self._http().post(
                    self._method_url(method), data=form, timeout=limit
                ) as response:
                    return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # `from None`: aiohttp's errors may name the URL, and the URL holds the token.
            raise UnreachableError(type(error).__name__) from None

    async def download(
        self, file_path: str, target: Path, *, bytes_max: int, timeout: timedelta
    ) -> int:
        """Fetch a file that getFile named and return its size.

        Raises FileTooLargeError as soon as more than `bytes_max` came, whatever was announced.
        """
        if self.local and file_path.startswith("/"):
            copied = await asyncio.to_thread(_copy, Path(file_path), target, bytes_max)
            if copied is not None:
                return copied
        limit = aiohttp.ClientTimeout(
            total=timeout.total_seconds(), sock_connect=CONNECT_TIMEOUT_SECONDS
        )
        try:
            async with self._http().get(
                self._file_url(file_path), timeout=limit, read_bufsize=CHUNK_BYTES
            ) as response:
                if response.status != 200:  # noqa: PLR2004 - HTTP's own number
                    raise UnreachableError(f"HTTP {response.status}")
                if (response.content_length or 0) > bytes_max:
                    raise FileTooLargeError
                with target.open("wb") as file:
                    return await _save(response.content, file, bytes_max)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(type(error).__name__) from None


async def _save(content: aiohttp.StreamReader, file: BinaryIO, bytes_max: int) -> int:
    """Write what comes, in large pieces: a slow sender would cost a thread for every packet."""
    size, piece = 0, bytearray()
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > bytes_max:
            raise FileTooLargeError
        piece += chunk
        if len(piece) >= CHUNK_BYTES:
            await asyncio.to_thread(file.write, bytes(piece))
            piece.clear()
    await asyncio.to_thread(file.write, bytes(piece))
    return size


def _copy(source: Path, target: Path, bytes_max: int) -> int | None:
    """None: the server's disk is not ours, and the file must come over HTTP."""
    if not source.is_file():
        return None
    size = source.stat().st_size
    if size > bytes_max:
        raise FileTooLargeError
    with suppress(OSError):
        target.unlink()
    try:
        target.hardlink_to(source)  # the same disk: nothing is copied
    except OSError:
        target.write_bytes(source.read_bytes())
    return size


def _form(payload: Mapping[str, Any]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in payload.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        form.add_field(name, text)
    return form


def _result(status: int, body: bytes) -> Any:
    try:
        response = _RESPONSE.decode(body)
    except msgspec.DecodeError:
        raise UnreachableError(f"HTTP {status} without a Bot API answer") from None
    if response.ok:
        return msgspec.json.decode(response.result)
    raise _error(response.error_code or status, response)


def _error(code: int, response: _Response) -> Exception:
    description = response.description
    lowered = description.lower()
    if code == 429:  # noqa: PLR2004 - HTTP's own numbers, here and below
        after = timedelta(seconds=response.parameters.retry_after) or RETRY_AFTER_DEFAULT
        return ThrottledError(description, retry_after=after)
    if code in (401, 404):
        return UnauthorizedError(f"Telegram answers {code}")
    if code == 409:  # noqa: PLR2004
        return ConflictError(description)
    if code == 403 or any(words in lowered for words in _UNREACHABLE_CHATS):  # noqa: PLR2004
        return BlockedError(description)
    if code < 500:  # noqa: PLR2004
        for words, kind in _REJECTIONS:
            if words in lowered:
                return kind(description)
        return RejectedError(description)
    return UnreachableError(f"Telegram answers {code}")
