"""A photo arrives, or something else where a photo is expected."""

from __future__ import annotations

from uuid import UUID

from aiogram import F, Router
from aiogram.filters import StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.types import Document, Message, PhotoSize

from contracts.ids import MediaId
from gateway.bot.states import MEDIA_ID, Making
from gateway.bot.where import Where
from gateway.domain import keys
from gateway.domain.screen import Say
from gateway.domain.screens import menu, upload
from gateway.ports import MEDIA_ANIMATED, MEDIA_NOT_AN_IMAGE, Incoming, Shop, Turn

router = Router(name="photo")
_WORDS = F.text & ~F.text.startswith("/")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".bmp", ".tif", ".tiff")


@router.message(Where(F.photo))
async def photo(message: Message, turn: Turn, shop: Shop, say: Say, state: FSMContext) -> None:
    """Telegram offers several sizes; the last is the largest."""
    size: PhotoSize = (message.photo or [])[-1]
    incoming = Incoming(
        file_id=size.file_id,
        file_unique_id=size.file_unique_id,
        size_bytes=size.file_size or 0,
        mime="image/jpeg",
    )
    await _take(incoming, turn=turn, shop=shop, say=say, state=state)


@router.message(Where(F.animation))
async def animation(_message: Message, turn: Turn, say: Say) -> None:
    """A GIF comes as an animation, with a document beside it: it must not reach the next one."""
    turn.reply(upload.failed(say, MEDIA_ANIMATED))


@router.message(Where(F.document))
async def document(message: Message, turn: Turn, shop: Shop, say: Say, state: FSMContext) -> None:
    file = message.document
    assert file is not None, "the filter passes documents only"
    mime = (file.mime_type or "").lower()
    if mime == "image/gif":
        turn.reply(upload.failed(say, MEDIA_ANIMATED))
    elif mime.startswith("video/"):
        turn.reply(menu.page(say, "video-not-photo"))
    elif not _may_be_an_image(file, mime):
        turn.reply(upload.failed(say, MEDIA_NOT_AN_IMAGE))
    else:
        incoming = Incoming(
            file_id=file.file_id,
            file_unique_id=file.file_unique_id,
            size_bytes=file.file_size or 0,
            mime=mime,
            file_name=file.file_name or "",
        )
        await _take(incoming, turn=turn, shop=shop, say=say, state=state)


@router.message(Where(F.video | F.video_note))
async def video(_message: Message, turn: Turn, say: Say) -> None:
    turn.reply(menu.page(say, "video-not-photo"))


@router.message(StateFilter(Making.choosing), Where(_WORDS))
async def text_instead_of_choice(
    _message: Message, turn: Turn, shop: Shop, say: Say, state: FSMContext
) -> None:
    """The photo is here; what is missing is a tap, so the buttons come again."""
    media_id = MediaId(UUID((await state.get_data())[MEDIA_ID]))
    turn.reply(upload.choices(say, media_id, shop.catalogue.values()), key=keys.upload(media_id))


@router.message(Where(_WORDS))
async def text_instead_of_photo(_message: Message, turn: Turn, shop: Shop, say: Say) -> None:
    turn.reply(menu.photo_wanted(say, shop.catalogue.values()))


def _may_be_an_image(file: Document, mime: str) -> bool:
    """Type and name are only hints: what the file really is, the worker finds out."""
    return mime.startswith("image/") or (file.file_name or "").lower().endswith(_IMAGE_SUFFIXES)


async def _take(incoming: Incoming, *, turn: Turn, shop: Shop, say: Say, state: FSMContext) -> None:
    """Answer at once; the download goes on behind the conversation."""
    if incoming.size_bytes > shop.file_bytes_max:
        turn.reply(upload.too_large(say, shop.file_bytes_max))
        return
    media = await shop.media.accept(turn.uow, user_id=turn.person.user_id, incoming=incoming)
    await state.set_state(Making.choosing)
    await state.set_data({MEDIA_ID: str(media.id)})
    turn.reply(upload.choices(say, media.id, shop.catalogue.values()), key=keys.upload(media.id))
