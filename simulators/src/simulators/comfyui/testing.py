"""What tests of and with the simulator share: a small client, graphs, normalised frames."""

import asyncio
import json
import struct
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

Graph = dict[str, Any]
Frame = dict[str, Any]
PATIENCE_SECONDS = 30.0


def graph_of_steps(
    *, steps: int = 3, step_s: float = 0.1, preview: bool = False, seed: int = 1, prefix: str = "s"
) -> Graph:
    """EmptyImage, a stepping test node, SaveImage: the shape of most recorded traces."""
    return {
        "1": _empty(),
        "2": {
            "class_type": "GenTestSteps",
            "inputs": {
                "image": ["1", 0],
                "seed": seed,
                "steps": steps,
                "step_s": step_s,
                "preview": preview,
            },
        },
        "9": _save("2", prefix),
    }


def graph_of_failure(kind: str, *, seed: int = 1) -> Graph:
    inputs = {"image": ["1", 0], "kind": kind, "seed": seed}
    return {
        "1": _empty(),
        "2": {"class_type": "GenTestFail", "inputs": inputs},
        "9": _save("2", "fail"),
    }


def graph_of_edit(image: str = "input.png", *, prefix: str = "edit") -> Graph:
    """LoadImage, ImageInvert, SaveImage."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": _save("2", prefix),
    }


def _empty() -> dict[str, Any]:
    inputs = {"width": 64, "height": 64, "batch_size": 1, "color": 2254540}
    return {"class_type": "EmptyImage", "inputs": inputs}


def _save(source: str, prefix: str) -> dict[str, Any]:
    return {
        "class_type": "SaveImage",
        "inputs": {"images": [source, 0], "filename_prefix": prefix},
    }


@dataclass(frozen=True)
class Run:
    """One prompt to its end: what was heard on the way, and what history kept."""

    prompt_id: str
    frames: list[Frame]
    history: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.history["status"]["status_str"])

    @property
    def last_message(self) -> tuple[str, dict[str, Any]]:
        kind, data = self.history["status"]["messages"][-1]
        return kind, data

    def files(self) -> list[dict[str, str]]:
        return [
            item
            for ui in self.history["outputs"].values()
            for items in ui.values()
            for item in items
            if isinstance(item, dict)
        ]


class Ear:
    """A WebSocket connection; binary frames come out as {"type": "BINARY", ...}."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.closed_with: int | None = None

    async def next(self, timeout_seconds: float = PATIENCE_SECONDS) -> Frame | None:
        """The next frame, or None when the connection is over."""
        message = await asyncio.wait_for(self.socket.receive(), timeout_seconds)
        if message.type is aiohttp.WSMsgType.TEXT:
            frame: Frame = json.loads(message.data)
            return frame
        if message.type is aiohttp.WSMsgType.BINARY:
            return {"type": "BINARY", "body": message.data}
        self.closed_with = self.socket.close_code
        return None

    async def until(self, wanted: Callable[[Frame], bool]) -> list[Frame]:
        """Frames up to and including the wanted one; fails if the connection ends first."""
        frames: list[Frame] = []
        while True:
            frame = await self.next()
            if frame is None:
                raise ConnectionError(f"closed with {self.closed_with} after {frames}")
            frames.append(frame)
            if wanted(frame):
                return frames

    async def until_idle(self, prompt_id: str) -> list[Frame]:
        """Up to `executing {"node": null}` of this prompt, which ends every case."""

        def ends(frame: Frame) -> bool:
            data = frame.get("data", {})
            ended = frame["type"] == "executing" and data.get("node") is None
            return bool(ended and data.get("prompt_id") == prompt_id)

        return await self.until(ends)

    async def quiet(self, seconds: float = 0.1) -> bool:
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False


class Comfy:
    """A plain HTTP client of one ComfyUI server; nothing in it knows of the simulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "used outside of `async with`"
        return self._session

    async def get(self, path: str, **params: Any) -> tuple[int, Any]:
        async with self.session.get(path, params=params) as response:
            return response.status, await _content(response)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.post(path, json=body) as response:
            return response.status, await _content(response)

    async def upload(self, name: str, body: bytes, **fields: str) -> tuple[int, Any]:
        form = aiohttp.FormData(fields, quote_fields=False)
        form.add_field("image", body, filename=name)
        async with self.session.post("/upload/image", data=form) as response:
            return response.status, await _content(response)

    async def prompt(self, graph: Graph, **fields: Any) -> tuple[int, Any]:
        return await self.post("/prompt", {"prompt": graph, **fields})

    async def queued(self, graph: Graph, **fields: Any) -> str:
        """Post a prompt that must be accepted whole; its id."""
        body = {"prompt_id": str(uuid.uuid4()), **fields}
        status, answer = await self.prompt(graph, **body)
        assert status == 200, answer
        assert answer["node_errors"] == {}, answer
        return str(answer["prompt_id"])

    async def history(self, prompt_id: str) -> dict[str, Any] | None:
        _, answer = await self.get(f"/history/{prompt_id}")
        entry: dict[str, Any] | None = answer.get(prompt_id)
        return entry

    async def finished(self, prompt_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            entry = await self.history(prompt_id)
            if entry is not None:
                found.append(entry)
            return entry is not None

        await eventually(there)
        return found[0]

    async def run(self, graph: Graph, ear: Ear | None = None, **fields: Any) -> Run:
        """Post a prompt and stay until it is over."""
        prompt_id = await self.queued(graph, **fields)
        frames = await ear.until_idle(prompt_id) if ear else []
        return Run(prompt_id, frames, await self.finished(prompt_id))

    async def view(self, file: dict[str, str]) -> bytes:
        async with self.session.get("/view", params=file) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    @asynccontextmanager
    async def ear(self, client_id: str, *, metadata: bool = False) -> AsyncIterator[Ear]:
        path = f"/ws?clientId={client_id}"
        async with self.session.ws_connect(path, max_msg_size=64 * 1024 * 1024) as socket:
            if metadata:
                flags = {"supports_preview_metadata": True}
                await socket.send_json({"type": "feature_flags", "data": flags})
            yield Ear(socket)


async def _content(response: aiohttp.ClientResponse) -> Any:
    if response.content_type == "application/json":
        return await response.json()
    return await response.text()


async def eventually(
    holds: Callable[[], Awaitable[bool]], timeout_seconds: float = PATIENCE_SECONDS
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not await holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def types(frames: Iterable[Frame]) -> list[str]:
    return [frame["type"] for frame in frames]


def binary_header(body: bytes) -> dict[str, Any]:
    """Event and format of a binary frame, and its metadata if it carries any."""
    event, second = struct.unpack(">II", body[:8])
    if event != 4:
        return {"event": event, "format": second, "image": body[8:]}
    metadata = json.loads(body[8 : 8 + second])
    return {"event": event, "metadata": metadata, "image": body[8 + second :]}
