"""What ComfyUI's words mean, and that none of them leave the module."""

import pytest

from generator.domain.failures import Kind, of_execution_error, of_partial, of_refusal


def refused(kind, details, error="prompt_outputs_failed_validation"):
    node = {"errors": [{"type": kind, "details": details, "extra_info": {}}], "class_type": "X"}
    return {"error": {"type": error, "message": "m"}, "node_errors": {"3": node}}


REFUSALS = [
    (refused("value_bigger_than_max", "blur_radius"), Kind.VALIDATION),
    (refused("required_input_missing", "image"), Kind.VALIDATION),
    (refused("value_not_in_list", "upscale_method: 'x' not in ['a']"), Kind.VALIDATION),
    (refused("value_not_in_list", "sampler_name: 'x' not in ['a']"), Kind.VALIDATION),
    (refused("value_not_in_list", "ckpt_name: 'sd.safetensors' not in []"), Kind.MISSING_MODEL),
    (
        refused("value_not_in_list", "clip_name1: 'a' not in (list of length 40)"),
        Kind.MISSING_MODEL,
    ),
    (
        refused("custom_validation_failed", "image - Invalid image file: nope.png"),
        Kind.INPUT_REJECTED,
    ),
    ({"error": {"type": "missing_node_type"}, "node_errors": {}}, Kind.MISSING_MODEL),
    ({"error": {"type": "invalid_prompt"}, "node_errors": {}}, Kind.MISSING_MODEL),
    ({"error": {"type": "prompt_no_outputs"}, "node_errors": {}}, Kind.VALIDATION),
    ({}, Kind.VALIDATION),
    ({"error": "a string", "node_errors": []}, Kind.VALIDATION),
]


@pytest.mark.parametrize(("body", "kind"), REFUSALS)
def test_a_refusal_is_classified_by_type_and_input_name(body, kind):
    assert of_refusal(400, body).kind is kind


def test_a_body_that_is_too_large_is_the_inputs_fault():
    assert of_refusal(413, {}).kind is Kind.TOO_LARGE


def test_a_partial_refusal_is_final_unless_an_input_is_missing():
    broken = refused("value_bigger_than_max", "blur_radius")["node_errors"]
    missing = refused("custom_validation_failed", "image - Invalid")["node_errors"]

    assert of_partial(broken).kind is Kind.PARTIAL_VALIDATION
    assert of_partial(missing).kind is Kind.INPUT_REJECTED


def error(name, message="", node="KSampler"):
    return {"exception_type": name, "exception_message": message, "node_type": node}


ERRORS = [
    (error("torch.OutOfMemoryError", "CUDA out of memory."), Kind.OUT_OF_MEMORY),
    (error("torch.cuda.OutOfMemoryError"), Kind.OUT_OF_MEMORY),
    (error("RuntimeError", "CUDA error: an illegal memory access"), Kind.CUDA_BROKEN),
    (error("torch.AcceleratorError", "x"), Kind.CUDA_BROKEN),
    (error("RuntimeError", "device-side assert triggered"), Kind.CUDA_BROKEN),
    (error("OSError", "[Errno 28] No space left on device", "SaveImage"), Kind.DISK_FULL),
    (error("PIL.UnidentifiedImageError", "x", "LoadImage"), Kind.BAD_INPUT),
    (error("PIL.Image.DecompressionBombError", "x", "LoadImage"), Kind.BAD_INPUT),
    (error("av.error.InvalidDataError", "x", "LoadImage"), Kind.BAD_INPUT),
    (error("av.error.MemoryError", "x", "LoadImage"), Kind.BAD_INPUT),
    (error("av.error.InvalidDataError", "x", "SaveVideo"), Kind.NODE_ERROR),
    (error("av.error.FileNotFoundError", "x", "LoadImage"), Kind.INPUT_GONE),
    (error("FileNotFoundError", "x", "LoadImage"), Kind.INPUT_GONE),
    (error("FileNotFoundError", "x", "CheckpointLoader"), Kind.NODE_ERROR),
    (error("SystemExit"), Kind.ZOMBIE),
    (error("ValueError", "bad"), Kind.NODE_ERROR),
    ({}, Kind.NODE_ERROR),
]


@pytest.mark.parametrize(("message", "kind"), ERRORS)
def test_an_execution_error_is_classified_by_its_exception(message, kind):
    assert of_execution_error(message).kind is kind


def test_no_text_of_the_person_or_path_of_the_server_gets_out():
    secret = "my secret prompt /srv/comfyui/output"
    failure = of_execution_error(error("ValueError", secret, "Node <b>" + "x" * 300))

    assert "secret" not in failure.detail
    assert "/srv" not in failure.detail
    assert "<" not in failure.detail
    assert len(failure.detail) < 200
