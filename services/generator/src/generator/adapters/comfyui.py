"""ComfyUI over HTTP: the truth about prompts, and everything that is asked of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from chassis import logs
from generator.adapters.comfyui_socket import ComfySocket
from generator.domain.errors import (
    AttemptFailedError,
    NotHolderError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.domain.failures import Failure, Kind, of_partial, of_refusal
from generator.domain.graphs import ResultFile
from generator.domain.prompts import (
    NOTE_KEY,
    Ending,
    Queue,
    Sighting,
    Where,
    ending_of,
    queue_of,
)
from generator.ports import PromptListener

log = logs.get("generator.comfyui")
CONNECT_SECONDS = 3.0
POSTS_SLOWER = 2.0
"""A POST /prompt validates the graph first: it may take this many times as long as a read."""
TRANSFER_READ_SECONDS = 15.0
"""Between two reads of a file's bytes, not for the whole file."""
RESULT_BYTES_MAX = 256 << 20
"""One is held three times at most, while it is stripped: the pod has 1 GiB."""
OK, BAD_REQUEST, NOT_FOUND, TOO_LARGE, SERVER_ERROR = 200, 400, 404, 413, 500
_JOB_STATES = {
    "pending": Where.PENDING,
    "in_progress": Where.RUNNING,
    "completed": Where.ENDED,
    "failed": Where.ENDED,
    "cancelled": Where.ENDED,
}


class ComfyUI:
    """The adapter behind `ports.ComfyServer`: one server, one session, one socket."""

    def __init__(
        self,
        *,
        url: str,
        name: str,
        may_act: Callable[[], bool],
        read_seconds: float = 5.0,
        on_socket_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.client_id = f"vitrine-{name}"
        self._url = url.rstrip("/")
        self._may_act = may_act
        self._post_timeout = aiohttp.ClientTimeout(total=read_seconds * POSTS_SLOWER)
        self._has_jobs: bool | None = None
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=read_seconds + CONNECT_SECONDS,
                sock_connect=CONNECT_SECONDS,
                sock_read=read_seconds,
            ),
            json_serialize=lambda value: msgspec.json.encode(value).decode(),
        )
        self.socket = ComfySocket(self._session, self._url, self.client_id, on_socket_lost)

    async def close(self) -> None:
        await self.socket.close()
        await self._session.close()

    @property
    def socket_alive(self) -> bool:
        return self.socket.alive

    @property
    def connections(self) -> int:
        return self.socket.connections

    def listen(self, prompt_id: str, listener: PromptListener) -> None:
        self.socket.listeners[prompt_id] = listener

    def unlisten(self, prompt_id: str) -> None:
        self.socket.listeners.pop(prompt_id, None)

    async def probe(self) -> str:
        try:
            stats = await self._get_json("/system_stats")
        except ServerUnreachableError:
            self._has_jobs = None  # what comes back may be another version
            raise
        if self._has_jobs is None:
            status, _ = await self._request("GET", "/api/jobs?limit=1")
            self._has_jobs = status == OK
        return str(stats.get("system", {}).get("comfyui_version", "unknown"))

    async def missing_classes(self, classes: set[str]) -> set[str]:
        missing = set()
        for name in sorted(classes):
            if name not in await self._get_json(f"/object_info/{name}"):
                missing.add(name)
        return missing

    async def upload(self, name: str, body: bytes, mime: str) -> str:
        self._check_lease()
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", body, filename=name, content_type=mime)
        form.add_field("type", "input")
        form.add_field("overwrite", "true")
        status, answer = await self._request(
            "POST", "/upload/image", data=form, timeout=_transfer_timeout()
        )
        if status == TOO_LARGE:
            raise AttemptFailedError(Failure(kind=Kind.TOO_LARGE, detail="upload too large"))
        if status != OK:
            raise ServerAnswerError(status, "upload")
        stored = msgspec.json.decode(answer)
        folder = stored.get("subfolder", "")
        return f"{folder}/{stored['name']}" if folder else str(stored["name"])

    async def submit(self, prompt_id: str, graph: Mapping[str, Any], note: dict[str, Any]) -> None:
        self._check_lease()
        body = {
            "prompt": graph,
            "client_id": self.client_id,
            "prompt_id": prompt_id,
            "extra_data": {NOTE_KEY: note},
        }
        self.socket.expect_status()
        status, answer = await self._request(
            "POST", "/prompt", json=body, timeout=self._post_timeout
        )
        if status >= SERVER_ERROR:
            raise ServerAnswerError(status, "prompt")
        decoded = _json_object(answer)
        if status != OK:
            raise AttemptFailedError(of_refusal(status, decoded))
        if decoded.get("node_errors"):
            await self.delete(prompt_id)
            await self.interrupt(prompt_id)
            raise AttemptFailedError(of_partial(decoded["node_errors"]))

    async def queue(self) -> Queue:
        return queue_of(await self._get_json("/queue"))

    async def look_up(self, prompt_id: str) -> Sighting:
        if self._has_jobs is None:
            await self.probe()
        where = await (
            self._where_by_job(prompt_id) if self._has_jobs else self._where_by_queue(prompt_id)
        )
        if where not in {Where.ENDED, Where.LOST}:
            return Sighting(where=where)
        ending = await self.ending(prompt_id)
        if ending is not None:
            return Sighting(where=Where.ENDED, ending=ending)
        # The queue lets go of a prompt a moment before its history is there.
        return Sighting(where=where)

    async def _where_by_job(self, prompt_id: str) -> Where:
        status, answer = await self._request("GET", f"/api/jobs/{prompt_id}")
        if status == NOT_FOUND:
            return Where.LOST
        if status != OK:
            raise ServerAnswerError(status, "jobs")
        return _JOB_STATES.get(str(_json_object(answer).get("status")), Where.ENDED)

    async def _where_by_queue(self, prompt_id: str) -> Where:
        # Queue first, history after: the other way round a prompt that ends between is missed.
        return (await self.queue()).where(prompt_id)

    async def ending(self, prompt_id: str) -> Ending | None:
        entry = (await self._get_json(f"/history/{prompt_id}")).get(prompt_id)
        return ending_of(entry) if entry else None

    async def delete(self, prompt_id: str) -> None:
        await self._command("/queue", {"delete": [prompt_id]})

    async def interrupt(self, prompt_id: str) -> None:
        await self._command("/interrupt", {"prompt_id": prompt_id})

    async def free_memory(self) -> None:
        await self._command("/free", {"unload_models": True, "free_memory": True})

    async def forget(self, prompt_id: str) -> None:
        await self._command("/history", {"delete": [prompt_id]})

    async def download(self, file: ResultFile) -> bytes:
        query = {"filename": file.filename, "subfolder": file.subfolder, "type": "output"}
        status, body = await self._request(
            "GET", "/view", params=query, timeout=_transfer_timeout(), limit=RESULT_BYTES_MAX
        )
        if status == NOT_FOUND:
            raise AttemptFailedError(Failure(kind=Kind.OUTPUT_MISSING, detail="file not found"))
        if status != OK:
            raise ServerAnswerError(status, "view")
        return body

    def _check_lease(self) -> None:
        if not self._may_act():
            raise NotHolderError(self.name)

    async def _command(self, path: str, body: dict[str, Any]) -> None:
        self._check_lease()
        status, _ = await self._request("POST", path, json=body)
        if status != OK:
            raise ServerAnswerError(status, path)

    async def _get_json(self, path: str) -> dict[str, Any]:
        status, body = await self._request("GET", path)
        if status != OK:
            raise ServerAnswerError(status, path.split("/")[1])
        return _json_object(body)

    async def _request(
        self, method: str, path: str, *, limit: int = RESULT_BYTES_MAX, **options: Any
    ) -> tuple[int, bytes]:
        try:
            async with self._session.request(method, f"{self._url}{path}", **options) as answer:
                return answer.status, await _whole(answer, limit)
        except aiohttp.ClientConnectorError as error:
            raise ServerUnreachableError(type(error).__name__, refused=True) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServerUnreachableError(type(error).__name__) from error


async def _whole(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body; a server need not say how long it will be."""
    parts, size = [], answer.content_length or 0
    if size <= limit:
        size = 0
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > limit:
                break
    if size > limit:
        raise AttemptFailedError(Failure(kind=Kind.OUTPUT_DAMAGED, detail="result too large"))
    return b"".join(parts)


def _transfer_timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=TRANSFER_READ_SECONDS)


def _json_object(body: bytes) -> dict[str, Any]:
    """A proxy in between may answer with a page: that is an empty object, not a crash."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        log.warning("comfyui_answer_not_json", size_bytes=len(body))
        return {}
    return decoded if isinstance(decoded, dict) else {}
