"""ComfyUI's WebSocket: hints about our prompts, and the knowledge whether to believe them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from chassis import logs
from chassis.groups import TaskGroup
from generator.domain.progress import NodeProgress
from generator.ports import PromptListener

log = logs.get("generator.socket")
MESSAGE_BYTES_MAX = 64 << 20
"""A node's text output comes as one frame; two megabytes were seen."""
HEARTBEAT_SECONDS = 15.0
CLOSE_SECONDS = 1.0
STATUS_SECONDS = 2.0
"""After a POST a `status` must come; without it the server has forgotten this socket."""
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 2.0
_HEAD = struct.Struct(">II")
_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_FEATURES = '{"type":"feature_flags","data":{"supports_preview_metadata":true}}'


class ComfySocket:
    """Keeps one socket open and hands each frame to the listener of its prompt.

    The old socket is closed before a new one opens: ComfyUI forgets the newer of two with one
    clientId when the older closes.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        client_id: str,
        on_lost: Callable[[], None],
    ) -> None:
        self.listeners: dict[str, PromptListener] = {}
        self.alive = False
        self.connections = 0
        self._session = session
        self._on_lost = on_lost
        self._url = f"{url}/ws"
        self._client_id = client_id
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._stopped = asyncio.Event()
        self._deaf = asyncio.Event()
        self._status_due: asyncio.TimerHandle | None = None
        self._executing = ""

    async def run(self) -> None:
        """Connect again, with capped backoff, until closed."""
        wait = RECONNECT_FIRST_SECONDS
        while not self._stopped.is_set():
            try:
                await self._converse()
                wait = RECONNECT_FIRST_SECONDS
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.debug("socket_failed", error=type(error).__name__)
                wait = min(wait * 2, RECONNECT_MAX_SECONDS)
            finally:
                self._drop()
            try:
                async with asyncio.timeout(wait):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        self._stopped.set()
        if self._socket is not None:
            await self._socket.close()

    async def _converse(self) -> None:
        socket = await self._session.ws_connect(
            self._url,
            params={"clientId": self._client_id},
            max_msg_size=MESSAGE_BYTES_MAX,
            heartbeat=HEARTBEAT_SECONDS,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
        )
        self._socket = socket
        self._deaf.clear()
        try:
            await socket.send_str(_FEATURES)
            self.alive = True
            self.connections += 1
            if self.connections > 1:
                log.info("socket_reconnected")
            self._tell_all_to_look()
            async with TaskGroup() as tasks:
                watch = tasks.create_task(self._close_when_deaf(socket))
                async for frame in socket:
                    self._take(frame)
                watch.cancel()
        finally:
            self.alive = False
            await socket.close()
            self._on_lost()

    async def _close_when_deaf(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._deaf.wait()
        await socket.close()

    def _drop(self) -> None:
        self.alive = False
        self._socket = None
        self._executing = ""
        if self._status_due is not None:
            self._status_due.cancel()
            self._status_due = None
        self._tell_all_to_look()

    def _tell_all_to_look(self) -> None:
        for listener in list(self.listeners.values()):
            listener.look_again()

    def expect_status(self) -> None:
        """A prompt is being posted: a frame must follow, or this socket is deaf."""
        if not self.alive or self._status_due is not None:
            return
        loop = asyncio.get_running_loop()
        self._status_due = loop.call_later(STATUS_SECONDS, self._suspect)

    def _suspect(self) -> None:
        self._status_due = None
        self.alive = False
        log.warning("socket_deaf", seconds=STATUS_SECONDS)
        self._tell_all_to_look()
        self._deaf.set()

    def _take(self, frame: aiohttp.WSMessage) -> None:
        if self._status_due is not None:
            self._status_due.cancel()
            self._status_due = None
        if frame.type is aiohttp.WSMsgType.TEXT:
            try:
                event = msgspec.json.decode(frame.data)
                self._dispatch(str(event["type"]), event.get("data") or {})
            except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError):
                log.warning("socket_frame_unreadable", size=len(frame.data))
        elif frame.type is aiohttp.WSMsgType.BINARY:
            self._binary(frame.data)

    def _dispatch(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "status":
            self._on_status(data)
            return
        prompt_id = str(data.get("prompt_id", ""))
        listener = self.listeners.get(prompt_id)
        if kind == "execution_start":
            self._executing = prompt_id
        if listener is None:
            return
        if kind in {"execution_start", "execution_cached"}:
            listener.started()
        elif kind == "executing":
            self._on_executing(listener, prompt_id, data.get("node"))
        elif kind == "progress_state":
            listener.progressed(_nodes(data.get("nodes") or {}))
        elif kind in {"execution_error", "execution_interrupted"}:
            listener.ended()

    def _on_status(self, data: Mapping[str, Any]) -> None:
        info = (data.get("status") or {}).get("exec_info") or {}
        if info.get("queue_remaining") == 0:
            for listener in list(self.listeners.values()):
                listener.queue_empty()

    def _on_executing(self, listener: PromptListener, prompt_id: str, node: object) -> None:
        if node is None:
            # Every case ends with this one, and the history is written by then.
            self._executing = ""
            listener.ended()
        else:
            self._executing = prompt_id
            listener.entered(str(node))

    def _binary(self, body: bytes) -> None:
        if len(body) < _HEAD.size:
            return
        kind, second = _HEAD.unpack_from(body)
        prompt_id, image = self._executing, body[_HEAD.size :]
        if kind == _PREVIEW_WITH_METADATA:
            try:
                metadata = msgspec.json.decode(image[:second])
                prompt_id = str(metadata.get("prompt_id", prompt_id))
            except (msgspec.DecodeError, AttributeError):
                return
            image = image[second:]
        elif kind != _PREVIEW:
            return
        listener = self.listeners.get(prompt_id)
        if listener is not None:
            listener.previewed(image)


def _nodes(states: Mapping[str, Any]) -> dict[str, NodeProgress]:
    return {
        node: NodeProgress(
            value=float(state.get("value") or 0),
            maximum=float(state.get("max") or 0),
            finished=state.get("state") == "finished",
        )
        for node, state in states.items()
    }
