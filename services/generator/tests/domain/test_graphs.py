"""Graphs made ready, and results found."""

import pytest

from contracts.catalogue import InputSpec, OutputSpec, Variation, Workflow
from generator.domain import graphs
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Kind
from generator.domain.prompts import Where, ending_of, queue_of


def workflow():
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "input.png"}},
        "2": {"class_type": "ImageAddNoise", "inputs": {"image": ["1", 0], "seed": 1}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }
    photo = InputSpec(
        name="photo", kind="image", node="1", field="image", max_bytes=1, max_pixels=1
    )
    return Workflow(
        id="w",
        version=1,
        pool="image",
        title_key="t",
        description_key="d",
        price_credits=1,
        deadline_seconds=1.0,
        expected_seconds=1.0,
        outputs=(OutputSpec(node="9", kind="image"),),
        inputs=(photo,),
        variation=Variation(filename_prefix=(("9", "filename_prefix"),), seed=(("2", "seed"),)),
        graph=graph,
    )


def test_filling_sets_input_prefix_and_seed_and_leaves_the_catalogue_alone():
    original = workflow()

    filled = graphs.fill(original, {"photo": "abc-0.jpg"}, prefix="jobs/o/p/out", seed=7)

    assert filled["1"]["inputs"]["image"] == "abc-0.jpg"
    assert filled["2"]["inputs"]["seed"] == 7
    assert filled["9"]["inputs"]["filename_prefix"] == "jobs/o/p/out"
    assert original.graph["1"]["inputs"]["image"] == "input.png"


def test_a_seed_is_found_again_by_its_prompt_and_differs_between_prompts():
    assert graphs.seed_of("a") == graphs.seed_of("a")
    assert graphs.seed_of("a") != graphs.seed_of("b")
    assert 0 <= graphs.seed_of("a") < 2**48


def file(name, kind="output"):
    return {"filename": name, "subfolder": "jobs", "type": kind}


def test_results_are_found_under_any_key_and_previews_are_not_results():
    outputs = {
        "9": {"images": [file("a.mp4"), file("p.png", "temp")], "animated": [True]},
        "8": {"gifs": [file("b.mp4")], "text": ["hello"]},
    }

    found = graphs.result_files(
        outputs, (OutputSpec(node="9", kind="video"), OutputSpec(node="8", kind="video"))
    )

    assert [each.filename for each in found] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("outputs", [{}, {"9": {"images": []}}, {"9": {"text": ["x"]}}])
def test_a_success_without_the_expected_output_is_a_failure(outputs):
    with pytest.raises(AttemptFailedError) as raised:
        graphs.result_files(outputs, (OutputSpec(node="9", kind="image"),))

    assert raised.value.failure.kind is Kind.OUTPUT_MISSING


def history(status, *messages):
    return {
        "outputs": {"9": {}},
        "status": {"status_str": status, "completed": status == "success", "messages": messages},
    }


def test_an_interruption_is_told_from_an_error_by_its_message():
    begun = ["execution_start", {"timestamp": 1000}]
    stopped = ending_of(history("error", begun, ["execution_interrupted", {"timestamp": 2500}]))
    broken = ending_of(
        history("error", begun, ["execution_error", {"exception_type": "E", "timestamp": 1}])
    )
    done = ending_of(history("success", begun, ["execution_success", {"timestamp": 4000}]))

    assert stopped.interrupted
    assert stopped.run_seconds == 1.5
    assert broken.failure is not None
    assert broken.failure.kind is Kind.NODE_ERROR
    assert (done.failure, done.interrupted, done.run_seconds) == (None, False, 3.0)


def test_the_queue_is_read_in_run_order_and_knows_our_prompts():
    body = {
        "queue_running": [[3, "r", {}, {"vitrine": {"server": "s"}}, []]],
        "queue_pending": [[9, "late", {}, {}, []], [-1, "early", {}, {"vitrine": 5}, []]],
    }

    queue = queue_of(body)

    assert [item.prompt_id for item in queue.pending] == ["early", "late"]
    assert queue.running[0].note == {"server": "s"}
    assert queue.pending[0].note == {}
    assert queue.where("r") is Where.RUNNING
    assert queue.where("late") is Where.PENDING
    assert queue.where("other") is Where.LOST
