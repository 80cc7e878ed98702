"""Which ComfyUI versions the simulator can be, and what differs between them on the wire."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    name: str
    comfyui_version: str
    prompt_ids_are_uuids: bool
    stamps_create_time: bool
    missing_node_error: str
    has_jobs: bool
    has_job_cancel: bool


MODES = {
    "0.3.64": Mode(
        name="0.3.64",
        comfyui_version="0.3.64",
        prompt_ids_are_uuids=False,
        stamps_create_time=False,
        missing_node_error="invalid_prompt",
        has_jobs=False,
        has_job_cancel=False,
    ),
    "0.25": Mode(
        name="0.25",
        comfyui_version="0.25.0",
        prompt_ids_are_uuids=True,
        stamps_create_time=True,
        missing_node_error="missing_node_type",
        has_jobs=True,
        has_job_cancel=False,
    ),
    "0.38": Mode(
        name="0.38",
        comfyui_version="0.38.0",
        prompt_ids_are_uuids=True,
        stamps_create_time=True,
        missing_node_error="missing_node_type",
        has_jobs=True,
        has_job_cancel=True,
    ),
}
