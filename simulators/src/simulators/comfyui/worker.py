"""The one worker of a process: takes prompts strictly one by one and runs their nodes."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from simulators.comfyui import graph as graphs
from simulators.comfyui.faults import Fault, searchable
from simulators.comfyui.messages import Messages
from simulators.comfyui.nodes import REGISTRY
from simulators.comfyui.nodes.base import (
    Context,
    InterruptedError_,
    NodeFailureError,
    Preview,
    ProcessKilledError,
    Result,
    WorkerDeathError,
)
from simulators.comfyui.nodes.testnodes import CUDA_MESSAGE, HardExitError, fail, is_test_node
from simulators.comfyui.process import Process
from simulators.comfyui.prompts import Item
from simulators.comfyui.tensors import as_shown, exception_name

logger = logging.getLogger(__name__)

DEFAULT_DOWN_SECONDS = 1.0
SAVING = "Save"


@dataclass
class _Run:
    """One prompt on its way: what is planned, what came out so far."""

    item: Item
    messages: Messages
    signatures: dict[str, str]
    pause_seconds: float
    executed: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    first_done: bool = False

    @property
    def prompt_id(self) -> str:
        return self.item[1]

    @property
    def graph(self) -> dict[str, Any]:
        return self.item[2]

    @property
    def extra_data(self) -> dict[str, Any]:
        return self.item[3]


class Worker:
    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(self) -> None:
        try:
            while True:
                await self._process.unfrozen.wait()
                item = await self._process.queue.get()
                await self._one(item)
        except (TypeError, WorkerDeathError) as error:
            # The zombie: HTTP and sockets go on, the queue never moves again.
            self._process.worker_alive = False
            logger.warning("the worker thread is dead: %r", error)
        except (ProcessKilledError, HardExitError):
            self._process.worker_alive = False
        except Exception:
            self._process.worker_alive = False
            logger.exception("the worker met a bug of the simulator")

    async def _one(self, item: Item) -> None:
        process = self._process
        _, prompt_id, graph, extra_data, _ = item
        text = searchable(graph, extra_data, prompt_id)
        process.log.started(prompt_id)
        process.broadcast_status()
        if process.faults.take("lost", text):
            process.queue.done()
            process.log.ended(prompt_id, "lost")
            process.broadcast_status()
            return
        client_id = extra_data.get("client_id")
        process.running.prompt_id = prompt_id
        process.running.client_id = client_id
        process.interrupted.clear()
        messages = Messages(process.sockets, prompt_id, client_id)
        messages.execution("execution_start")
        run = self._plan(item, messages)
        outcome = await self._nodes(run, text)
        delay = process.faults.take("history_delay", text)
        if delay:
            await process.pause(delay.seconds)
        self._write_history(run, outcome)
        process.running.prompt_id = None
        process.running.node_id = None
        process.queue.done()
        process.log.ended(prompt_id, outcome)
        process.broadcast_status()
        messages.idle()

    def _plan(self, item: Item, messages: Messages) -> _Run:
        """Keep of the cache what this prompt shares with the one before, and say what that is."""
        process = self._process
        _, _, graph, _, outputs = item
        signatures = graphs.signatures(graph, outputs, process.storage.content_hash)
        wanted = set(signatures.values())
        process.cache = {key: value for key, value in process.cache.items() if key in wanted}
        cached = [node_id for node_id in graph if signatures.get(node_id) in process.cache]
        messages.execution("execution_cached", nodes=cached)
        new = [node_id for node_id in signatures if node_id not in cached]
        artificial = not any(is_test_node(node["class_type"]) for node in graph.values())
        pause = process.settings.job_seconds / len(new) if artificial and new else 0.0
        return _Run(item, messages, signatures, pause)

    async def _nodes(self, run: _Run, text: str) -> str:
        process = self._process
        _, _, graph, _, outputs = run.item
        cached = {n for n, signature in run.signatures.items() if signature in process.cache}
        for node_id in graphs.execution_order(graph, outputs, cached):
            await process.unfrozen.wait()
            signature = run.signatures[node_id]
            if signature in process.cache:
                self._reuse(run, node_id, process.cache[signature])
                continue
            run.messages.started(node_id)
            process.running.node_id = node_id
            run.messages.executing(node_id)
            try:
                result = await self._node(run, node_id, text)
            except InterruptedError_:
                self._interrupted(run, node_id)
                return "interrupted"
            except (WorkerDeathError, ProcessKilledError):
                raise
            except HardExitError:
                process.request_death(DEFAULT_DOWN_SECONDS)
                raise
            except Exception as error:
                self._failed(run, node_id, error)
                return "error"
            process.cache[signature] = result
            run.executed.append(node_id)
            process.log.executed_node(run.prompt_id)
            self._shown(run, node_id, result)
            run.messages.finished(node_id)
        run.messages.execution("execution_success")
        return "success"

    def _reuse(self, run: _Run, node_id: str, result: Result) -> None:
        self._shown(run, node_id, result)
        run.messages.finished(node_id)

    def _shown(self, run: _Run, node_id: str, result: Result) -> None:
        if result.ui is None:
            return
        run.outputs[node_id] = result.ui
        run.meta[node_id] = {
            "node_id": node_id,
            "display_node": node_id,
            "parent_node": None,
            "real_node_id": node_id,
        }
        run.messages.executed(node_id, result.ui)

    async def _node(self, run: _Run, node_id: str, text: str) -> Result:
        process = self._process
        loop = asyncio.get_running_loop()

        def report(value: int, maximum: int, preview: Preview | None) -> None:
            loop.call_soon_threadsafe(run.messages.progress, node_id, value, maximum, preview)

        class_type = run.graph[node_id]["class_type"]
        saving = class_type.startswith(SAVING)
        context = Context(
            files=process.storage,
            node_id=node_id,
            graph=run.graph,
            embed_metadata=process.settings.embed_metadata,
            extra_pnginfo=run.extra_data.get("extra_pnginfo") or {},
            time_scale=lambda: process.settings.time_scale,
            interrupted=process.interrupted,
            killed=process.killed,
            report=report,
            disk_full=saving and process.faults.take("disk_full", text) is not None,
        )
        context.check_interrupt()
        if not run.first_done:
            run.first_done = True
            await self._strike(run, context, text)
        inputs = self._inputs(run, node_id)
        node_type = REGISTRY[class_type]

        def work() -> Result:
            if run.pause_seconds:
                context.sleep(run.pause_seconds)
            return node_type.run(context, **inputs)

        return await loop.run_in_executor(process.threads, work)

    def _inputs(self, run: _Run, node_id: str) -> dict[str, Any]:
        given = run.graph[node_id]["inputs"]
        values: dict[str, Any] = {}
        for name in REGISTRY[run.graph[node_id]["class_type"]].inputs():
            if name not in given:
                continue
            value = given[name]
            if graphs.is_link(value):
                source: Result = self._process.cache[run.signatures[value[0]]]
                value = source.outputs[int(value[1])]
            values[name] = value
        return values

    async def _strike(self, run: _Run, _context: Context, text: str) -> None:
        """Faults that were ordered for this prompt, at its first node."""
        process, take = self._process, self._process.faults.take
        if take("cuda_sticky", text):
            process.cuda_broken = True
        client = process.sockets.current(run.extra_data.get("client_id"))
        if take("ws_silent", text) and client:
            client.silent = True
        if take("ws_close", text) and client:
            client.abort()
        if fault := take("block", text):
            await asyncio.get_running_loop().run_in_executor(
                process.threads, process.killed.wait, fault.seconds
            )
        if fault := take("hang", text):
            process.freeze(fault.seconds or 3600.0)
            await process.unfrozen.wait()
        for kind in ("hard_exit", "restart"):
            if fault := take(kind, text):
                process.request_death(fault.options.get("down_seconds", DEFAULT_DOWN_SECONDS))
                raise ProcessKilledError
        if take("worker_death", text):
            raise WorkerDeathError
        if process.cuda_broken:
            raise NodeFailureError("RuntimeError", CUDA_MESSAGE)
        if take("oom", text):
            fail("oom")
        if fault := take("error", text):
            raise _ordered_failure(fault)

    def _interrupted(self, run: _Run, node_id: str) -> None:
        run.messages.execution(
            "execution_interrupted",
            everyone=True,
            node_id=node_id,
            node_type=run.graph[node_id]["class_type"],
            executed=list(run.executed),
        )

    def _failed(self, run: _Run, node_id: str, error: Exception) -> None:
        inputs = {name: [as_shown(value)] for name, value in self._inputs(run, node_id).items()}
        run.messages.execution(
            "execution_error",
            node_id=node_id,
            node_type=run.graph[node_id]["class_type"],
            executed=list(run.executed),
            exception_message=str(error),
            exception_type=exception_name(error),
            traceback=[f'  File "{__file__}", in work\n', f"{exception_name(error)}: {error}\n"],
            current_inputs=inputs,
            current_outputs=list(run.signatures),
        )

    def _write_history(self, run: _Run, outcome: str) -> None:
        success = outcome == "success"
        entry = {
            "prompt": list(run.item),
            "outputs": run.outputs,
            "status": {
                "status_str": "success" if success else "error",
                "completed": success,
                "messages": run.messages.kept,
            },
            "meta": run.meta,
        }
        self._process.history.write(run.prompt_id, entry)


def _ordered_failure(fault: Fault) -> NodeFailureError:
    kind = str(fault.options.get("type", "ValueError"))
    return NodeFailureError(kind, str(fault.options.get("message", "deliberate failure\n")))
