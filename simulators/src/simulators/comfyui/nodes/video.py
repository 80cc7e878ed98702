"""Nodes that make videos: CreateVideo, SaveVideo (mp4), SaveWEBM."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from simulators.comfyui.nodes.base import (
    Context,
    Image,
    Result,
    choice,
    link,
    node,
    number,
    text,
)
from simulators.comfyui.nodes.save import expand, metadata, reserve, shown

CATEGORY = "image/video"
MODULE = "comfy_extras.nodes_video"
WEBM_CODECS = {"vp9": "libvpx-vp9", "av1": "libsvtav1"}


@dataclass(frozen=True)
class Video:
    images: Image
    fps: Fraction


def encode(
    context: Context,
    video: Video,
    path: Path,
    *,
    codec: str,
    codec_options: dict[str, str],
    container_options: dict[str, str],
) -> None:
    with av.open(str(path), mode="w", options=container_options) as container:
        for key, value in metadata(context).items():
            container.metadata[key] = value
        stream: Any = container.add_stream(codec, rate=video.fps, options=codec_options)
        stream.width, stream.height = video.images.shape[2], video.images.shape[1]
        stream.pix_fmt = "yuv420p"
        for frame in video.images:
            picture = av.VideoFrame.from_ndarray(frame[..., :3], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


@node(
    "CreateVideo",
    required={"images": link("IMAGE"), "fps": number(30.0, 1.0, 120.0, 1.0)},
    optional={"audio": link("AUDIO")},
    returns=("VIDEO",),
    category=CATEGORY,
    module=MODULE,
)
def create_video(_context: Context, images: Image, fps: float, audio: None = None) -> Result:  # noqa: ARG001
    return Result((Video(images, Fraction(round(fps * 1000), 1000)),))


@node(
    "GetVideoComponents",
    required={"video": link("VIDEO")},
    returns=("IMAGE", "AUDIO", "FLOAT"),
    names=("images", "audio", "fps"),
    category=CATEGORY,
    module=MODULE,
)
def get_video_components(_context: Context, video: Video) -> Result:
    return Result((video.images, None, float(video.fps)))


@node(
    "SaveVideo",
    required={
        "video": link("VIDEO"),
        "filename_prefix": text("video/ComfyUI"),
        "format": choice("auto", "mp4", default="auto", modern=True),
        "codec": choice("auto", "h264", default="auto", modern=True),
    },
    category=CATEGORY,
    output_node=True,
    module=MODULE,
)
def save_video(
    context: Context,
    video: Video,
    filename_prefix: str,
    format: str,  # noqa: A002, ARG001 - the node's own input names; "auto" is mp4 too
    codec: str,  # noqa: ARG001 - and h264
) -> Result:
    prefix = expand(filename_prefix, video.images.shape[2], video.images.shape[1])
    folder, base, subfolder, counter = reserve(context, "output", prefix)
    filename = f"{base}_{counter:05}_.mp4"
    encode(
        context,
        video,
        folder / filename,
        codec="libx264",
        codec_options={"preset": "ultrafast"},
        # Without this flag the mp4 muxer drops keys it does not know, and the graph with them.
        container_options={"movflags": "use_metadata_tags"},
    )
    return Result(ui=shown(filename, subfolder, "output", animated=True))


@node(
    "SaveWEBM",
    required={
        "images": link("IMAGE"),
        "filename_prefix": text("ComfyUI"),
        "codec": choice("vp9", "av1"),
        "fps": number(24.0, 0.01, 1000.0, 0.01),
        "crf": number(32.0, 0.0, 63.0, 1.0),
    },
    category=CATEGORY,
    output_node=True,
    module=MODULE,
)
def save_webm(
    context: Context, images: Image, filename_prefix: str, codec: str, fps: float, crf: float
) -> Result:
    prefix = expand(filename_prefix, images.shape[2], images.shape[1])
    folder, base, subfolder, counter = reserve(context, "output", prefix)
    filename = f"{base}_{counter:05}_.webm"
    speed = {"deadline": "realtime", "cpu-used": "8"} if codec == "vp9" else {"preset": "12"}
    encode(
        context,
        Video(images, Fraction(round(fps * 1000), 1000)),
        folder / filename,
        codec=WEBM_CODECS[codec],
        codec_options={"crf": str(round(crf)), **speed},
        container_options={},
    )
    return Result(ui=shown(filename, subfolder, "output", animated=True))
