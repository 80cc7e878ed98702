"""WebSocket: who hears what, previews, coming back, and the socket that is forgotten."""

import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import (
    Comfy,
    binary_header,
    eventually,
    graph_of_failure,
    graph_of_steps,
    types,
)

SLOW = {"steps": 2000, "step_s": 0.005}


async def registered(simulator: ComfyUISimulator, count: int) -> None:
    async def there() -> bool:
        return len(simulator.process.sockets.clients()) == count

    await eventually(there)


async def test_the_first_frame_is_status_with_the_sid(comfy: Comfy) -> None:
    async with comfy.ear("X") as ear:
        first = await ear.next()

    info = {"exec_info": {"queue_remaining": 0}}
    assert first == {"type": "status", "data": {"status": info, "sid": "X"}}


async def test_a_socket_without_client_id_is_given_one(comfy: Comfy) -> None:
    async with comfy.session.ws_connect("/api/ws") as socket:
        first = await socket.receive_json()

    assert len(first["data"]["sid"]) == 32


async def test_feature_flags_are_answered_and_garbage_is_ignored(comfy: Comfy) -> None:
    async with comfy.ear("X", metadata=True) as ear:
        await ear.next()
        flags = await ear.next()
        for garbage in ("{", "[]", '"x"', '{"type": 1}', '{"type": "feature_flags", "data": {}}'):
            await ear.socket.send_str(garbage)
        await ear.socket.send_bytes(b"\x00")
        run = await comfy.run(graph_of_steps(), ear, client_id="X")

    assert flags is not None
    assert flags["type"] == "feature_flags"
    assert flags["data"]["max_upload_size"] == 104857600
    assert flags["data"]["supports_preview_metadata"] is True
    assert run.status == "success"
    assert "feature_flags" not in types(run.frames)


@pytest.mark.parametrize("metadata", [True, False])
async def test_previews_are_jpegs_with_or_without_metadata(comfy: Comfy, metadata: bool) -> None:
    async with comfy.ear("X", metadata=metadata) as ear:
        run = await comfy.run(graph_of_steps(preview=True, steps=2), ear, client_id="X")

    headers = [binary_header(f["body"]) for f in run.frames if f["type"] == "BINARY"]
    assert len(headers) == 2
    assert all(header["image"].startswith(b"\xff\xd8") for header in headers)
    if metadata:
        told = headers[0]["metadata"]
        assert (told["node_id"], told["prompt_id"]) == ("2", run.prompt_id)
        assert told["image_type"] == "image/jpeg"
    else:
        assert [(h["event"], h["format"]) for h in headers] == [(1, 1), (1, 1)]


async def test_a_second_client_hears_only_status(comfy: Comfy) -> None:
    async with comfy.ear("mine") as mine, comfy.ear("other") as other:
        await comfy.run(graph_of_steps(preview=True), mine, client_id="mine")
        heard = await other.until(lambda f: _remaining(f) == 0 and "sid" not in f["data"])

    assert set(types(heard)) == {"status"}


def _remaining(frame: dict[str, dict[str, dict[str, dict[str, int]]]]) -> int:
    return frame["data"]["status"]["exec_info"]["queue_remaining"]


async def test_without_client_id_everyone_hears_progress_and_nobody_the_rest(
    comfy: Comfy,
) -> None:
    async with comfy.ear("a") as ear:
        await comfy.run(graph_of_steps(preview=True))
        failed = await comfy.run(graph_of_failure("value_error"))
        frames = await ear.until(lambda f: f.get("data", {}).get("prompt_id") == failed.prompt_id)
        frames += await ear.until(lambda f: f["type"] == "status")

    assert {"progress", "progress_state", "BINARY", "status"} == set(types(frames))


async def test_without_client_id_an_interruption_is_told_to_everyone(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    simulator.settings.time_scale = 1.0
    async with comfy.ear("a") as ear:
        prompt_id = await comfy.queued(graph_of_steps(**SLOW))
        await ear.until(lambda f: f["type"] == "progress")
        await comfy.post("/interrupt", {"prompt_id": prompt_id})
        frames = await ear.until(lambda f: f["type"] == "execution_interrupted")
        frames += await ear.until(lambda f: f["type"] == "status")

    assert "executing" not in types(frames)
    assert "execution_start" not in types(frames)


async def test_a_prompt_for_an_absent_client_is_told_to_nobody(comfy: Comfy) -> None:
    async with comfy.ear("here") as ear:
        await comfy.run(graph_of_steps(), client_id="absent")
        heard = await ear.until(lambda f: _remaining(f) == 0 and "sid" not in f["data"])

    assert set(types(heard)) == {"status"}


async def test_coming_back_mid_job_tells_the_node_and_the_rest(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    simulator.settings.time_scale = 1.0
    async with comfy.ear("me") as ear:
        prompt_id = await comfy.queued(graph_of_steps(**SLOW), client_id="me")
        await ear.until(lambda f: f["type"] == "progress")
    await registered(simulator, 0)

    async with comfy.ear("me") as ear:
        first, second = await ear.next(), await ear.next()
        simulator.settings.time_scale = 0.0
        rest = await ear.until_idle(prompt_id)

    assert first is not None
    assert first["data"]["sid"] == "me"
    assert second == {"type": "executing", "data": {"node": "2"}}
    assert "execution_start" not in types(rest)
    assert "execution_success" in types(rest)
    async with comfy.ear("me") as ear:
        assert (await ear.next() or {})["type"] == "status"
        assert await ear.quiet()


async def test_closing_the_older_of_two_sockets_orphans_the_newer(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    async with comfy.ear("me") as old, comfy.ear("me") as new:
        await old.socket.close()
        await registered(simulator, 1)
        assert (await new.next() or {})["type"] == "status"
        await comfy.run(graph_of_steps(), client_id="me")

        assert await new.quiet()
        await new.socket.ping()
        assert not new.socket.closed


async def test_without_the_bug_the_newer_socket_goes_on(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await comfy.post("/control/switches", {"orphan_bug": False})
    async with comfy.ear("me") as old, comfy.ear("me") as new:
        await old.socket.close()
        await registered(simulator, 1)
        run = await comfy.run(graph_of_steps(), new, client_id="me")

    assert "execution_success" in types(run.frames)


async def test_history_is_there_when_the_prompt_is_said_to_be_over(comfy: Comfy) -> None:
    async with comfy.ear("me") as ear:
        for seed in range(20):
            prompt_id = await comfy.queued(graph_of_steps(seed=seed), client_id="me")
            await ear.until_idle(prompt_id)
            assert await comfy.history(prompt_id) is not None


async def test_a_large_text_output_is_one_large_frame(comfy: Comfy) -> None:
    text = "x" * 2_000_000
    graph = {"5": {"class_type": "PreviewAny", "inputs": {"source": text}}}

    async with comfy.ear("me") as ear:
        run = await comfy.run(graph, ear, client_id="me")

    executed = next(f for f in run.frames if f["type"] == "executed")
    assert executed["data"]["output"] == {"text": [text]}
