"""Turns a photo, video or document parameter into the content of a message."""

from typing import Any

import aiohttp
from yarl import URL

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request, too_large
from simulators.telegram.files import FileStore, PictureError, StoredFile
from simulators.telegram.formatting import CAPTION_MAX, read_text
from simulators.telegram.params import Params, Upload

Json = dict[str, Any]

MEGABYTE = 1_000_000
PHOTO_BYTES_MAX = 10 * MEGABYTE
UPLOAD_BYTES_MAX = 50 * MEGABYTE
LOCAL_UPLOAD_BYTES_MAX = 2_000 * MEGABYTE
PHOTO_BY_URL_BYTES_MAX = 5 * MEGABYTE
BY_URL_BYTES_MAX = 20 * MEGABYTE
URL_TIMEOUT = aiohttp.ClientTimeout(total=10)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


async def read_media(core: Core, params: Params, kind: str) -> StoredFile:
    """The file of a sendPhoto-like call, uploaded, by file_id or by URL."""
    upload = params.upload(kind)
    if upload is None and kind not in params:
        raise bad_request(f"there is no {kind} in the request")
    reference = params.text(kind)
    facts = {name: params.integer(name) for name in ("width", "height", "duration")}
    return await resolve(core, kind, reference, upload, facts, params)


async def resolve(
    core: Core,
    kind: str,
    reference: str,
    upload: Upload | None,
    facts: dict[str, int],
    params: Params,
) -> StoredFile:
    if upload is None:
        if reference.startswith("attach://"):
            raise bad_request(f"there is no {kind} in the request")
        if reference.startswith(("http://", "https://")):
            upload = await _by_url(reference, kind)
        else:
            return _by_id(core.files, kind, reference)
    elif len(upload.data) > _limit(core, kind):
        raise too_large()
    if not upload.data:
        raise bad_request("file must be non-empty")
    if kind == "photo":
        try:
            return (await core.files.add_photo(upload.data))[-1]
        except PictureError as error:
            raise bad_request(str(error)) from None
    stored = await core.files.add(kind, upload.data, name=upload.name, mime=upload.mime, **facts)
    if thumb := params.upload("thumbnail"):
        await core.files.set_thumbnail(stored, thumb.data)
    for name in ("performer", "title"):
        if kind == "audio" and name in params:
            stored.extra[name] = params.text(name)
    return stored


def _limit(core: Core, kind: str) -> int:
    if core.options.local and kind != "photo":
        return LOCAL_UPLOAD_BYTES_MAX
    return PHOTO_BYTES_MAX if kind == "photo" else UPLOAD_BYTES_MAX


def _by_id(files: FileStore, kind: str, file_id: str) -> StoredFile:
    stored = files.get(file_id)
    if stored is None:
        raise bad_request("wrong remote file identifier specified: Wrong string length")
    if stored.kind != kind:
        wanted, is_ = kind.capitalize(), stored.kind.capitalize()
        raise bad_request(f"can't use file of type {is_} as {wanted}")
    return stored


async def _by_url(url: str, kind: str) -> Upload:
    """Only loopback is reachable from here: the simulator never leaves the machine."""
    limit = PHOTO_BY_URL_BYTES_MAX if kind == "photo" else BY_URL_BYTES_MAX
    if URL(url).host not in LOOPBACK:
        raise bad_request("failed to get HTTP URL content")
    try:
        async with aiohttp.ClientSession(timeout=URL_TIMEOUT) as session:
            async with session.get(url) as response:
                data = await response.content.read(limit + 1)
                if response.status != 200 or len(data) > limit:
                    raise bad_request("failed to get HTTP URL content")
                return Upload(URL(url).name, response.content_type, data)
    except (aiohttp.ClientError, TimeoutError):
        raise bad_request("failed to get HTTP URL content") from None


def media_content(files: FileStore, stored: StoredFile) -> Json:
    if stored.kind == "photo":
        return {"photo": files.photo_wire(stored)}
    wire = files.wire(stored)
    if stored.kind == "animation":  # kept for old clients by the real server too
        return {"animation": wire, "document": wire}
    return {stored.kind: wire}


def caption_content(values: Params | Json) -> Json:
    text, entities = read_text(values, "caption", CAPTION_MAX, entities_name="caption_entities")
    params = values if isinstance(values, Params) else Params(values)
    content: Json = {}
    if text:
        content["caption"] = text
        if entities:
            content["caption_entities"] = entities
    if params.flag("show_caption_above_media"):
        content["show_caption_above_media"] = True
    if params.flag("has_spoiler"):
        content["has_media_spoiler"] = True
    return content


ALBUM_KINDS = {"photo", "video", "document", "audio"}
MEDIA_KINDS = ALBUM_KINDS | {"animation"}


async def read_input_media(core: Core, params: Params, item: Any, allowed: set[str]) -> Json:
    """The content described by one InputMedia object."""
    if not isinstance(item, dict):
        raise bad_request("can't parse InputMedia: expected an Object")
    kind = str(item.get("type", ""))
    if kind not in allowed:
        raise bad_request(f'can\'t parse InputMedia: type "{kind}" is unsupported')
    reference = item.get("media")
    if not isinstance(reference, str) or not reference:
        raise bad_request("can't parse InputMedia: media not found")
    own = Params(item, params.files)
    facts = {name: own.integer(name) for name in ("width", "height", "duration")}
    upload = params.attached(reference) if reference.startswith("attach://") else None
    stored = await resolve(core, kind, reference, upload, facts, own)
    return {**media_content(core.files, stored), **caption_content(item)}
