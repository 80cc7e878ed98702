"""What one running prompt says: frames to its client, messages kept for its history."""

import time
from typing import Any

from simulators.comfyui.nodes.base import Preview
from simulators.comfyui.sockets import Sockets, preview_frame, preview_frame_with_metadata


class Messages:
    """Frames and history messages of one prompt, routed as the real server routes them."""

    def __init__(self, sockets: Sockets, prompt_id: str, client_id: str | None) -> None:
        self._sockets = sockets
        self._prompt_id = prompt_id
        self._client_id = client_id
        self._nodes: dict[str, dict[str, Any]] = {}
        self.kept: list[list[Any]] = []

    def execution(self, kind: str, *, everyone: bool = False, **data: Any) -> None:
        """An execution_* message: kept for history, sent to the prompt's client.

        Without a client only an interruption is told, and then to everyone.
        """
        body = {**data, "prompt_id": self._prompt_id, "timestamp": int(time.time() * 1000)}
        self.kept.append([kind, body])
        if self._client_id is not None or everyone:
            self._sockets.send(kind, body, self._client_id)

    def _to_client(self, kind: str, data: dict[str, Any]) -> None:
        if self._client_id is not None:
            self._sockets.send(kind, data, self._client_id)

    def executing(self, node_id: str) -> None:
        data = {"node": node_id, "display_node": node_id, "prompt_id": self._prompt_id}
        self._to_client("executing", data)

    def executed(self, node_id: str, ui: dict[str, Any]) -> None:
        data = {
            "node": node_id,
            "display_node": node_id,
            "output": ui,
            "prompt_id": self._prompt_id,
        }
        self._to_client("executed", data)

    def idle(self) -> None:
        self._to_client("executing", {"node": None, "prompt_id": self._prompt_id})

    def _facts(self, node_id: str) -> dict[str, Any]:
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }

    def _progress_state(self) -> None:
        nodes = {node_id: dict(state) for node_id, state in self._nodes.items()}
        data = {"prompt_id": self._prompt_id, "nodes": nodes}
        self._sockets.send("progress_state", data, self._client_id)

    def started(self, node_id: str) -> None:
        self._nodes[node_id] = {
            "value": 0.0,
            "max": 1.0,
            "state": "running",
            **self._facts(node_id),
        }
        self._progress_state()

    def finished(self, node_id: str) -> None:
        # A cached output was never started: it appears finished at once, counted in whole numbers.
        state = self._nodes.setdefault(node_id, {"value": 1, "max": 1, "state": "finished"})
        state.update(self._facts(node_id))
        state["state"] = "finished"
        state["value"] = state["max"]
        self._progress_state()

    def progress(self, node_id: str, value: int, maximum: int, preview: Preview | None) -> None:
        self._nodes[node_id].update({"value": value, "max": maximum})
        self._progress_state()
        client = self._sockets.current(self._client_id)
        with_metadata = client is not None and client.wants_preview_metadata()
        if preview and with_metadata:
            metadata = {**self._facts(node_id), "image_type": preview.mime}
            frame = preview_frame_with_metadata(preview.image, metadata)
            self._sockets.send_binary(frame, self._client_id)
        data = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._sockets.send("progress", data, self._client_id)
        if preview and not with_metadata:
            frame = preview_frame(preview.image, preview.mime)
            self._sockets.send_binary(frame, self._client_id)
