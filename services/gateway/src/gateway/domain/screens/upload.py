"""The answer to a photo: what can be made of it, or why nothing can."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.catalogue import InputSpec, Workflow
from contracts.ids import MediaId
from contracts.media import MediaRef
from gateway.domain.callbacks import ChooseWorkflow, pack
from gateway.domain.screen import Button, Say, Screen
from gateway.domain.screens.menu import menu_button, price_line

_UNREACHABLE = "unreachable"
_KNOWN = frozenset(
    {"too_large", "too_many_pixels", "not_an_image", "animated", "damaged", _UNREACHABLE}
)
"""The codes of a failed media row (ports.MEDIA_*)."""
MEGABYTE = 1024 * 1024


def choices(say: Say, media_id: MediaId, workflows: Iterable[Workflow]) -> Screen:
    """`media_id` is in every button, so an old message still knows its photo."""
    rows = tuple(
        (
            Button(
                say("button-workflow", title=say(item.title_key), price=price_line(say, item)),
                pack(ChooseWorkflow(media_id, item.id)),
            ),
        )
        for item in workflows
        if takes_a_photo(item)
    )
    return Screen(text=say("photo-received"), buttons=(*rows, (menu_button(say, fresh=True),)))


def takes_a_photo(workflow: Workflow) -> bool:
    """One photo is all that it needs."""
    return [item.kind for item in workflow.inputs] == ["image"]


def failed(say: Say, code: str) -> Screen:
    """Why an upload cannot be used; an unknown code is told as a failed download."""
    known = code if code in _KNOWN else _UNREACHABLE
    return Screen(
        text=say(f"photo-{known.replace('_', '-')}"), buttons=((menu_button(say, fresh=True),),)
    )


def too_large(say: Say, limit_bytes: int) -> Screen:
    return Screen(
        text=say("file-too-large", megabytes=limit_bytes // MEGABYTE),
        buttons=((menu_button(say, fresh=True),),),
    )


def misfit(say: Say, spec: InputSpec, photo: MediaRef) -> str | None:
    """Why a sound photo is still not fit for one workflow; None: it fits."""
    if min(photo.width, photo.height) < spec.min_side_pixels:
        return say("photo-side-too-small", pixels=spec.min_side_pixels)
    if photo.width * photo.height > spec.max_pixels:
        return say("photo-too-many-pixels-here", megapixels=spec.max_pixels // 1_000_000)
    if photo.size_bytes > spec.max_bytes:
        return say("file-too-large", megabytes=spec.max_bytes // MEGABYTE)
    return None
