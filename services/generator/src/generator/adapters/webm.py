"""WebM without metadata: the blocks of its tracks in a fresh file that starts with its index.

After RFC 8794 (EBML) and RFC 9559 (Matroska). Which elements may stay is listed here; all else is
left out: tags, titles, attachments, chapters, names of programs, and further tracks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from generator.adapters.clips import (
    TRACKS_MAX,
    Allowance,
    Clip,
    ClipError,
    av1_setup,
    lasting,
    number,
    opus_setup,
    parts_allowed,
    taken,
    vorbis_setup,
)

MAGIC = bytes.fromhex("1a45dfa3")
VIDEO, SOUND = 1, 2
CODECS = {VIDEO: {"V_VP8", "V_VP9", "V_AV1"}, SOUND: {"A_OPUS", "A_VORBIS"}}
_SEGMENT, _INFO, _TRACKS, _CLUSTER, _CUES = (
    0x18538067,
    0x1549A966,
    0x1654AE6B,
    0x1F43B675,
    0x1C53BB6B,
)
_TIME, _SIMPLE, _GROUP, _BLOCK, _REFERENCE = 0xE7, 0xA3, 0xA0, 0xA1, 0xFB
_TRACK, _NUMBER, _UID, _KIND, _CODEC, _SETUP = 0xAE, 0xD7, 0x73C5, 0x83, 0x86, 0x63A2
_VIDEO, _WIDTH, _HEIGHT, _ENCODED, _EACH = 0xE0, 0xB0, 0xBA, 0x6D80, 0x23E383
_TRANSPARENT = 0x53C0
_SCALE, _DURATION, _MUXER, _WRITER, _LANGUAGE = 0x2AD7B1, 0x4489, 0x4D80, 0x5741, 0x22B59C
_ADDITIONS, _MORE, _ADDED_ID, _ADDED = 0x75A1, 0xA6, 0xEE, 0xA5
_ENDLESS = frozenset({_SEGMENT, _CLUSTER})
"""Read as if they had no size: what is written as it comes knows none."""
_SCREEN = dict.fromkeys(range(0x55D1, 0x55DB))
_COLOUR = {**dict.fromkeys(range(0x55B1, 0x55BE)), 0x55D0: _SCREEN}
_PICTURE = {
    **dict.fromkeys((_WIDTH, _HEIGHT, 0x9A, 0x9D, 0x53B8, _TRANSPARENT)),
    **dict.fromkeys((0x54AA, 0x54BB, 0x54CC, 0x54DD, 0x54B0, 0x54BA, 0x54B2)),
    0x55B0: _COLOUR,
}
_SOUNDS = dict.fromkeys((0xB5, 0x78B5, 0x9F, 0x6264))
_KEPT_OF_TRACK = {
    **dict.fromkeys((_NUMBER, _KIND, _CODEC, _EACH)),
    **dict.fromkeys((0xB9, 0x88, 0x55AA, 0x9C, 0x56AA, 0x56BB, 0x55EE)),
    _VIDEO: _PICTURE,
    0xE1: _SOUNDS,
}
_KEPT_OF_GROUP = {
    **dict.fromkeys((_BLOCK, 0x9B, _REFERENCE, 0xFA, 0x75A2)),
    _ADDITIONS: {_MORE: dict.fromkeys((_ADDED_ID, _ADDED))},
}
_BYTES = frozenset({_CODEC, _BLOCK, _ADDED})
"""All others are numbers, where no text fits in."""
_NUMBER_BYTES_MAX = 8
_TRANSPARENCY = 1
_KEYFRAME = 0x80
_FEATURES = range(1, 5)
"""Of VP9: profile, level, depth, and how colours are halved."""
_MILLISECOND = 1_000_000
_SMALL = 1_000
_SIDE_MAX = 65_535
"""Of any codec here. Telegram refuses the message that tells of a larger one."""
Parts = dict[int, list[memoryview]]


class _Track(msgspec.Struct, kw_only=True):
    number: int
    kind: int
    entry: bytes
    width: int
    height: int
    transparent: bool
    each_ns: int


class _Cluster(msgspec.Struct):
    time: int
    blocks: list[bytearray | memoryview]
    """In parts, which are joined once: no picture is held more often than it must be."""
    has_key: bool = False

    def put(self, parts: Iterable[bytes | memoryview]) -> None:
        """Small ones behind each other: a million objects would take more than their bytes."""
        for part in parts:
            if isinstance(part, memoryview):
                self.blocks.append(part)
            elif self.blocks and isinstance(self.blocks[-1], bytearray):
                self.blocks[-1] += part
            else:
                self.blocks.append(bytearray(part))


def without_metadata(body: bytes) -> Clip:
    """Raises ClipError for anything but a whole WebM with a video track."""
    info: Parts = {}
    tracks: dict[int, _Track] = {}
    clusters: list[_Cluster] = []
    video, last = None, 0
    left = parts_allowed(len(body))
    for name, content in _elements(memoryview(body), left):
        if name == _INFO and not info:
            info = _inside(content, left)
        elif name == _TRACKS and not tracks:
            tracks = _tracks(content, left)
            video = next((each for each in tracks.values() if each.kind == VIDEO), None)
        elif name == _CLUSTER:
            clusters.append(_Cluster(0, []))
        elif name == _TIME and clusters:
            clusters[-1].time = _whole(content)
        elif name in (_SIMPLE, _GROUP):
            if not clusters or video is None:
                raise ClipError("pictures nobody described")
            last = max(last, _add(clusters[-1], name, content, tracks, video, left))
    filled = [cluster for cluster in clusters if cluster.blocks]
    if video is None or not filled:
        raise ClipError("no video")
    scale = _unsigned(info, _SCALE, _MILLISECOND)
    if scale == 0:
        raise ClipError("no time scale")
    duration = _float(info, _DURATION) or last + video.each_ns / scale
    lasting(max(duration, last) * scale / 1e9)
    return Clip(
        body=_written(scale, duration, tracks, video, filled),
        width=video.width,
        height=video.height,
        duration_seconds=lasting(duration * scale / 1e9),
    )


def _elements(view: memoryview, left: Allowance) -> Iterator[tuple[int, memoryview]]:
    """Every element; what is in a segment and a cluster follows these themselves."""
    at = 0
    while at < len(view):
        left.spend()
        name, at = _variable(view, at, marked=True)
        size, after = _variable(view, at, marked=False)
        endless = size == (1 << (7 * (after - at))) - 1
        at = after
        if name in _ENDLESS:
            if not endless:
                taken(view, at, size)
            yield name, view[at:at]
            continue
        if endless:
            raise ClipError("an element without an end")
        yield name, taken(view, at, size)
        at += size


def _variable(view: memoryview, at: int, *, marked: bool) -> tuple[int, int]:
    """A number that tells its own length in its first bits, and where it ends."""
    size = 9 - number(view, at, 1).bit_length()
    if size > _NUMBER_BYTES_MAX:
        raise ClipError("no length")
    value = number(view, at, size)
    return (value if marked else value - (1 << (7 * size))), at + size


def _inside(view: memoryview, left: Allowance) -> Parts:
    found: Parts = {}
    for name, content in _elements(view, left):
        found.setdefault(name, []).append(content)
    return found


def _unsigned(parts: Parts, name: int, default: int) -> int:
    return _whole(parts[name][0]) if name in parts else default


def _whole(content: memoryview) -> int:
    if len(content) > _NUMBER_BYTES_MAX:
        raise ClipError("a number that is none")
    return number(content, 0, len(content))


def _float(parts: Parts, name: int) -> float:
    if name not in parts:
        return 0.0
    content = parts[name][0]
    letter = {4: "f", 8: "d"}.get(len(content))
    if letter is None:
        raise ClipError("no number")
    value: float = struct.unpack(f">{letter}", content)[0]
    if not 0 <= value < 2**53:
        raise ClipError("no duration")
    return value


def _element(name: int, *parts: bytes | memoryview) -> bytes:
    return b"".join((_headed(name, sum(map(len, parts))), *parts))


def _in_parts(name: int, *parts: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    """The same, not yet joined, unless it is so small that a copy is less than being two."""
    size = sum(map(len, parts))
    return (_element(name, *parts),) if size < _SMALL else (_headed(name, size), *parts)


def _headed(name: int, size: int) -> bytes:
    length = next(each for each in range(1, 9) if size < (1 << (7 * each)) - 1)
    return _named(name) + (size | (1 << (7 * length))).to_bytes(length, "big")


def _named(name: int) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big")


def _fixed(name: int, value: int) -> bytes:
    """Always as long, so that an index can be measured before it is known."""
    return _element(name, value.to_bytes(8, "big"))


def _kept(
    elements: Iterable[tuple[int, memoryview]], allowed: Mapping[int, Any], left: Allowance
) -> Iterator[bytes]:
    """One of each: where a name comes twice, readers do not agree on which of them counts."""
    seen = set()
    for name, content in elements:
        if name not in allowed:
            continue
        if name in seen:
            if name in _BYTES:
                raise ClipError("told twice")
            continue
        seen.add(name)
        if allowed[name] is not None:
            yield _element(name, *_kept(_elements(content, left), allowed[name], left))
        elif name in _BYTES or len(content) <= _NUMBER_BYTES_MAX:
            yield _element(name, content)
        else:
            raise ClipError("a number that is none")


def _tracks(view: memoryview, left: Allowance) -> dict[int, _Track]:
    found: dict[int, _Track] = {}
    every = [content for name, content in _elements(view, left) if name == _TRACK]
    if len(every) > TRACKS_MAX:
        raise ClipError("more tracks than any result")
    for content in every:
        track = _track(content, left)
        if track is not None and found.setdefault(track.number, track) is not track:
            raise ClipError("two tracks of one number")
    return found


def _track(content: memoryview, left: Allowance) -> _Track | None:
    parts = _inside(content, left)
    kind = _unsigned(parts, _KIND, 0)
    if kind not in CODECS:
        return None
    codec = bytes(parts[_CODEC][0]).rstrip(b"\0").decode() if _CODEC in parts else ""
    if codec not in CODECS[kind] or _ENCODED in parts:
        raise ClipError("coded in a way that is not sent on")
    if len(parts.get(_SETUP, ())) > 1:
        raise ClipError("told twice")
    setup = b"".join(_setup(codec, each) for each in parts.get(_SETUP, ()))
    picture = _inside(parts[_VIDEO][0], left) if _VIDEO in parts else {}
    known = _unsigned(parts, _NUMBER, 0)
    kept = [*_kept(_elements(content, left), _KEPT_OF_TRACK, left)]
    kept += [_element(_SETUP, setup)] if setup else []
    return _Track(
        number=known,
        kind=kind,
        entry=_element(_TRACK, *kept, _fixed(_UID, known), _element(_LANGUAGE, b"und")),
        width=_side(picture, _WIDTH) if kind == VIDEO else 0,
        height=_side(picture, _HEIGHT) if kind == VIDEO else 0,
        transparent=bool(_unsigned(picture, _TRANSPARENT, 0)),
        each_ns=_unsigned(parts, _EACH, 0),
    )


def _side(picture: Parts, name: int) -> int:
    side = _unsigned(picture, name, 0)
    if not 0 < side <= _SIDE_MAX:
        raise ClipError("a picture of no size")
    return side


def _setup(codec: str, view: memoryview) -> bytes:
    """What a decoder must know before it is given the first block, and no more."""
    match codec:
        case "V_AV1":
            return av1_setup(view)
        case "V_VP9":
            features = (view[at : at + 3] for at in range(0, min(len(view), 12) - 2, 3))
            return b"".join(each for each in features if each[0] in _FEATURES and each[1] == 1)
        case "A_OPUS":
            return b"OpusHead" + opus_setup(view[8:])
        case "A_VORBIS":
            return vorbis_setup(view)
    return b""


def _add(
    cluster: _Cluster,
    name: int,
    content: memoryview,
    tracks: dict[int, _Track],
    video: _Track,
    left: Allowance,
) -> int:
    """Keep a block if its track is kept; return when it is shown."""
    group = [*_elements(content, left)] if name == _GROUP else [(_BLOCK, content)]
    block = next((each for kind, each in group if kind == _BLOCK), None)
    if block is None:
        return 0
    track, at = _variable(block, 0, marked=False)
    if track not in tracks:
        return 0
    if len(block) <= at + 3:
        raise ClipError("a block of nothing")
    if name == _GROUP:
        key = all(kind != _REFERENCE for kind, _ in group)
        parts = [*_of_group(group, left, transparent=tracks[track].transparent)]
        cluster.put(_in_parts(name, *parts))
    else:
        key = bool(number(block, at + 2, 1) & _KEYFRAME)
        cluster.put(_in_parts(name, content))
    cluster.has_key |= key and track == video.number
    return cluster.time + int.from_bytes(taken(block, at, 2), "big", signed=True)


def _of_group(
    group: list[tuple[int, memoryview]], left: Allowance, *, transparent: bool
) -> Iterator[bytes]:
    """What is added to a block stays if it is its transparency, in a track that has some."""
    yield from _kept((each for each in group if each[0] != _ADDITIONS), _KEPT_OF_GROUP, left)
    if not transparent:
        return
    added = next((each for name, each in group if name == _ADDITIONS), memoryview(b""))
    more = (each for name, each in _elements(added, left) if name == _MORE)
    shown = (each for each in more if _unsigned(_inside(each, left), _ADDED_ID, 1) == _TRANSPARENCY)
    for each in islice(shown, 1):
        alone = (_ADDITIONS, memoryview(_element(_MORE, each)))
        yield from _kept([alone], _KEPT_OF_GROUP, left)


def _written(
    scale: int,
    duration: float,
    tracks: dict[int, _Track],
    video: _Track,
    clusters: list[_Cluster],
) -> bytes:
    by = (_element(_MUXER, b"vitrine"), _element(_WRITER, b"vitrine"))
    lasting = _element(_DURATION, struct.pack(">d", duration))
    start = _element(_INFO, _fixed(_SCALE, scale), lasting, *by)
    start += _element(_TRACKS, *(track.entry for track in tracks.values()))
    position = len(start) + len(_cues(video, clusters, [0] * len(clusters)))
    positions: list[int] = []
    parts: list[bytes | bytearray | memoryview] = []
    for cluster in clusters:
        head = _headed_cluster(cluster)
        positions.append(position)
        position += len(head) + sum(map(len, cluster.blocks))
        parts += (head, *cluster.blocks)
    cues = _cues(video, clusters, positions)
    return b"".join((_head(), _headed(_SEGMENT, position), start, cues, *parts))


def _headed_cluster(cluster: _Cluster) -> bytes:
    time = _fixed(_TIME, cluster.time)
    return _headed(_CLUSTER, len(time) + sum(map(len, cluster.blocks))) + time


def _cues(video: _Track, clusters: list[_Cluster], positions: list[int]) -> bytes:
    """Where a player may jump to: each cluster with a whole picture in it."""
    points = []
    for cluster, position in zip(clusters, positions, strict=True):
        if cluster.has_key:
            place = _element(0xB7, _fixed(0xF7, video.number), _fixed(0xF1, position))
            points.append(_element(0xBB, _fixed(0xB3, cluster.time), place))
    return _element(_CUES, *points) if points else b""


def _head() -> bytes:
    fields = ((0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8))
    versions = ((0x4287, 4), (0x4285, 2))
    return _element(
        int.from_bytes(MAGIC, "big"),
        *(_element(name, bytes([value])) for name, value in fields),
        _element(0x4282, b"webm"),
        *(_element(name, bytes([value])) for name, value in versions),
    )
