"""Nodes that change each picture of a batch: size, sharpness, colour, noise."""

from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFilter

from simulators.comfyui.nodes.base import (
    MAX_RESOLUTION,
    SEED_MAX,
    Context,
    Image,
    Input,
    Mask,
    Result,
    choice,
    integer,
    link,
    node,
    number,
)
from simulators.comfyui.nodes.pixels import each, repeat_to, scale, to_bytes

METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
POST = "image/postprocessing"
POST_MODULE = "comfy_extras.nodes_post_processing"
IMAGES_MODULE = "comfy_extras.nodes_images"
DIMENSION = integer(512, 0, MAX_RESOLUTION)


@node(
    "ImageScale",
    required={
        "image": link("IMAGE"),
        "upscale_method": choice(*METHODS),
        "width": DIMENSION,
        "height": DIMENSION,
        "crop": choice("disabled", "center"),
    },
    returns=("IMAGE",),
    category="image/upscaling",
)
def image_scale(
    _context: Context, image: Image, upscale_method: str, width: int, height: int, crop: str
) -> Result:
    _, old_height, old_width, _ = image.shape
    if width == 0 and height == 0:
        return Result((image,))
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    return Result((scale(image, width, height, upscale_method, crop),))


@node(
    "ImageScaleBy",
    required={
        "image": link("IMAGE"),
        "upscale_method": choice(*METHODS),
        "scale_by": number(1.0, 0.01, 8.0, 0.01),
    },
    returns=("IMAGE",),
    category="image/upscaling",
)
def image_scale_by(_context: Context, image: Image, upscale_method: str, scale_by: float) -> Result:
    width, height = round(image.shape[2] * scale_by), round(image.shape[1] * scale_by)
    return Result((scale(image, width, height, upscale_method, "disabled"),))


@node(
    "ImageScaleToMaxDimension",
    required={
        "image": link("IMAGE"),
        "upscale_method": choice("area", "lanczos", "bilinear", "nearest-exact", "bicubic"),
        "largest_size": DIMENSION,
    },
    returns=("IMAGE",),
    category="image/upscaling",
    module=IMAGES_MODULE,
)
def image_scale_to_max_dimension(
    _context: Context, image: Image, upscale_method: str, largest_size: int
) -> Result:
    _, height, width, _ = image.shape
    if height > width:
        size = round(width / height * largest_size), largest_size
    elif width > height:
        size = largest_size, round(height / width * largest_size)
    else:
        size = largest_size, largest_size
    return Result((scale(image, max(1, size[0]), max(1, size[1]), upscale_method, "disabled"),))


@node("ImageInvert", required={"image": link("IMAGE")}, returns=("IMAGE",))
def image_invert(_context: Context, image: Image) -> Result:
    return Result((255 - image,))


@node(
    "ImageBlur",
    required={
        "image": link("IMAGE"),
        "blur_radius": integer(1, 1, 31),
        "sigma": number(1.0, 0.1, 10.0, 0.1),
    },
    returns=("IMAGE",),
    category=POST,
    module=POST_MODULE,
)
def image_blur(_context: Context, image: Image, blur_radius: int, sigma: float) -> Result:
    blur = ImageFilter.GaussianBlur(min(sigma, float(blur_radius)))
    return Result((each(image, lambda picture: picture.filter(blur)),))


@node(
    "ImageSharpen",
    required={
        "image": link("IMAGE"),
        "sharpen_radius": integer(1, 1, 31),
        "sigma": number(1.0, 0.1, 10.0, 0.01),
        "alpha": number(1.0, 0.0, 5.0, 0.01),
    },
    returns=("IMAGE",),
    category=POST,
    module=POST_MODULE,
)
def image_sharpen(
    _context: Context, image: Image, sharpen_radius: int, sigma: float, alpha: float
) -> Result:
    radius = min(sigma, float(sharpen_radius))
    mask = ImageFilter.UnsharpMask(radius=radius, percent=round(alpha * 100), threshold=0)
    return Result((each(image, lambda picture: picture.filter(mask)),))


@node(
    "ImageAddNoise",
    required={
        "image": link("IMAGE"),
        "seed": Input(
            "INT", {"default": 0, "min": 0, "max": SEED_MAX, "control_after_generate": True}
        ),
        "strength": number(0.5, 0.0, 1.0, 0.01),
    },
    returns=("IMAGE",),
    module=IMAGES_MODULE,
)
def image_add_noise(_context: Context, image: Image, seed: int, strength: float) -> Result:
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    return Result((to_bytes(image.astype(np.float32) / 255 + strength * noise),))


@node(
    "ImageQuantize",
    required={
        "image": link("IMAGE"),
        "colors": integer(256, 1, 256),
        "dither": choice("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"),
    },
    returns=("IMAGE",),
    category=POST,
    module=POST_MODULE,
)
def image_quantize(_context: Context, image: Image, colors: int, dither: str) -> Result:
    method = (
        PillowImage.Dither.FLOYDSTEINBERG
        if dither == "floyd-steinberg"
        else PillowImage.Dither.NONE
    )
    return Result((each(image, lambda p: p.quantize(colors, dither=method).convert("RGB")),))


def _blend(first: Mask, second: Mask, mode: str) -> Any:
    match mode:
        case "multiply":
            return first * second
        case "screen":
            return 1 - (1 - first) * (1 - second)
        case "overlay":
            low, high = 2 * first * second, 1 - 2 * (1 - first) * (1 - second)
            return np.where(first <= 0.5, low, high)
        case "soft_light":
            curve = np.where(first <= 0.25, ((16 * first - 12) * first + 4) * first, first**0.5)
            dark = first - (1 - 2 * second) * first * (1 - first)
            light = first + (2 * second - 1) * (curve - first)
            return np.where(second <= 0.5, dark, light)
        case "difference":
            return first - second
    return second


@node(
    "ImageBlend",
    required={
        "image1": link("IMAGE"),
        "image2": link("IMAGE"),
        "blend_factor": number(0.5, 0.0, 1.0, 0.01),
        "blend_mode": choice("normal", "multiply", "screen", "overlay", "soft_light", "difference"),
    },
    returns=("IMAGE",),
    category=POST,
    module=POST_MODULE,
)
def image_blend(
    _context: Context, image1: Image, image2: Image, blend_factor: float, blend_mode: str
) -> Result:
    _, height, width, _ = image1.shape
    second = scale(repeat_to(image2, image1.shape[0]), width, height, "bicubic", "center")
    # Two bytes in, one byte out: all 65,536 answers at once are cheaper than every pixel's own.
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    base = levels[:, None]
    blended = _blend(base, levels[None, :], blend_mode)
    table = to_bytes(base * (1 - blend_factor) + blended * blend_factor)
    return Result((table[image1, second],))


@node(
    "ColorTransfer",
    required={
        "image_target": link("IMAGE"),
        "image_ref": link("IMAGE"),
        "method": choice("reinhard_lab", "mkl_lab", "histogram", modern=True),
        "source_stats": choice("per_frame", "uniform", "target_frame", modern=True),
        "strength": number(1.0, 0.0, 10.0, 0.01),
    },
    returns=("IMAGE",),
    category=POST,
    module=POST_MODULE,
)
def color_transfer(
    context: Context,
    image_target: Image,
    image_ref: Image,
    method: str,  # noqa: ARG001 - one way of matching stands for all three
    source_stats: str,
    strength: float,
) -> Result:
    """Match mean and spread of each channel; the one core node here that reports progress."""
    reference = image_ref[0].astype(np.float32).reshape(-1, 3)
    mean, spread = reference.mean(axis=0), reference.std(axis=0)
    done: list[Image] = []
    for index, frame in enumerate(image_target):
        context.sleep(0.05)
        pixels = frame.astype(np.float32)
        own = (image_target if source_stats == "uniform" else pixels).reshape(-1, 3)
        moved = (pixels - own.mean(axis=0)) / (own.std(axis=0) + 1e-6) * spread + mean
        mixed = pixels + (moved - pixels) * strength
        done.append(np.clip(mixed, 0, 255).astype(np.uint8))
        context.progress(index + 1, len(image_target))
    return Result((np.stack(done),))
