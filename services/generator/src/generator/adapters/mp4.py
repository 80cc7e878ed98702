"""MP4 without metadata: the samples of its tracks in a fresh file that starts with its index.

After ISO/IEC 14496-12. Which boxes and how much of each may stay is listed here; all else is left
out: texts, tags, times, names, further tracks, and bytes that no sample is made of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from generator.adapters import mp4_fragments
from generator.adapters.clips import Clip, ClipError, number, taken
from generator.adapters.mp4_boxes import Parts, box, boxes, inside, one, rows
from generator.adapters.mp4_fragments import Pieces

VIDEO, SOUND = b"vide", b"soun"
CODECS = {
    VIDEO: {b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09", b"mp4v"},
    SOUND: {b"mp4a", b"Opus", b"fLaC", b"alac", b"ac-3", b"ec-3", b".mp3"},
}
_SETUP = {b"avcC", b"hvcC", b"av1C", b"vpcC", b"esds", b"dOps", b"dfLa", b"alac", b"dac3", b"dec3"}
_SHOWN = {b"pasp", b"clap", b"btrt", b"fiel", b"mdcv", b"clli"}
_COLOURS = (b"nclx", b"nclc")  # an ICC profile may name who made it
_ENTRY_BYTES = {VIDEO: 78, SOUND: 28}
# Bytes before a table's rows, and of each row; the number of rows is the last thing before them.
_TABLES = {
    b"stts": (8, 8),
    b"ctts": (8, 8),
    b"stss": (8, 4),
    b"stsc": (8, 12),
}
_GROUPS = (b"roll", b"prol", b"rap ")
_CLASSIC_BRANDS = b"isom\0\0\2\0isomiso2avc1mp41"
_UNDETERMINED = (0x55C4).to_bytes(2, "big")
_HERE = bytes.fromhex("00000000 00000001 0000000c") + b"url " + bytes.fromhex("00000001")
"""The data reference of a file that holds its own samples."""
_LARGEST = 2**32 - 1


class Chunk(NamedTuple):
    offset: int
    size: int


class Track(msgspec.Struct, kw_only=True):
    kind: bytes
    header: bytes
    edits: bytes
    media_header: bytes
    looks: bytes
    """The box of a video's or a sound's own header."""
    entries: bytes
    tables: bytes
    chunks: list[Chunk]
    width: int
    height: int


def without_metadata(body: bytes) -> Clip:
    """Raises ClipError for anything but a whole MP4 with a video track."""
    whole = memoryview(body)
    movie = one(inside(whole), b"moov")
    parts = inside(movie)
    header = _headed(one(parts, b"mvhd"), (100, 112))
    tracks = [track for each in parts.get(b"trak", ()) if (track := _track(each)) is not None]
    if b"mvex" in parts:
        pieces = mp4_fragments.gathered(whole, parts[b"mvex"][0])
        lengths = [_join(track, pieces, _scale(header)) for track in tracks]
        header = mp4_fragments.timed(header, _after_times(header) + 4, max(lengths, default=0))
    video = next((track for track in tracks if track.kind == VIDEO), None)
    if video is None or not video.chunks:
        raise ClipError("no video")
    return Clip(
        body=_written(whole, header, tracks),
        width=video.width,
        height=video.height,
        duration_seconds=_seconds(header),
    )


def _join(track: Track, pieces: dict[int, Pieces], scale: int) -> int:
    """Give a track what its fragments hold; return how long it lasts by the movie's clock."""
    at = _after_times(track.header)
    its = pieces.get(number(memoryview(track.header), at, 4))
    if its is None or track.chunks:
        raise ClipError("half in fragments")
    length = round(its.duration * scale / _scale(track.media_header))
    track.tables = mp4_fragments.tables(its)
    track.chunks = [Chunk(offset, size) for offset, size, _ in its.runs]
    track.header = mp4_fragments.timed(track.header, at + 8, length)
    after = _after_times(track.media_header) + 4
    track.media_header = mp4_fragments.timed(track.media_header, after, its.duration)
    track.edits = b"".join((track.edits[:8], *mp4_fragments.edits_timed(track.edits, length)))
    return length


def _headed(view: memoryview, sizes: tuple[int, int]) -> bytes:
    """A header of either version, without when it was made and changed."""
    version = number(view, 0, 1)
    if version > 1:
        raise ClipError("a header of the future")
    times = 2 * (8 if version else 4)
    rest = taken(view, 4 + times, sizes[version] - 4 - times)
    return b"".join((view[:4], bytes(times), rest))


def _after_times(header: bytes) -> int:
    return 20 if header[0] else 12


def _scale(header: bytes) -> int:
    """Units in a second: of the movie's header, or of a track's media."""
    scale = number(memoryview(header), _after_times(header), 4)
    if scale == 0:
        raise ClipError("no time scale")
    return scale


def _seconds(header: bytes) -> float:
    width = 8 if header[0] else 4
    duration = number(memoryview(header), _after_times(header) + 4, width)
    return 0.0 if duration == 2 ** (8 * width) - 1 else duration / _scale(header)


def _track(view: memoryview) -> Track | None:
    parts = inside(view)
    media = inside(one(parts, b"mdia"))
    kind = bytes(taken(one(media, b"hdlr"), 8, 4))
    if kind not in CODECS:
        return None
    info = inside(one(media, b"minf"))
    _check_its_own(inside(one(info, b"dinf")))
    samples = inside(one(info, b"stbl"))
    entries, width, height = _entries(one(samples, b"stsd"), kind)
    media_header = _headed(one(media, b"mdhd"), (24, 36))
    looks = (b"vmhd", 12) if kind == VIDEO else (b"smhd", 8)
    return Track(
        kind=kind,
        header=_headed(one(parts, b"tkhd"), (84, 96)),
        edits=_edits(parts),
        media_header=media_header[:-4] + _UNDETERMINED + bytes(2),
        looks=box(looks[0], taken(one(info, looks[0]), 0, looks[1])),
        entries=entries,
        tables=_tables(samples),
        chunks=list(_chunks(samples)),
        width=width,
        height=height,
    )


def _check_its_own(parts: Parts) -> None:
    references = list(boxes(one(parts, b"dref")[8:]))
    if not references or not all(number(each, 3, 1) & 1 for _, each in references):
        raise ClipError("samples in another file")


def _edits(parts: Parts) -> bytes:
    if b"edts" not in parts:
        return b""
    edits = one(inside(parts[b"edts"][0]), b"elst")
    row = 20 if number(edits, 0, 1) else 12
    return bytes(taken(edits, 0, 8 + row * number(edits, 4, 4)))


def _entries(view: memoryview, kind: bytes) -> tuple[bytes, int, int]:
    """How samples are coded, without the name of the program that did it."""
    kept: list[bytes] = []
    width = height = 0
    for codec, content in boxes(view[8:]):
        if codec not in CODECS[kind]:
            raise ClipError("coded in a way that is not sent on")
        fields = bytearray(taken(content, 0, _ENTRY_BYTES[kind]))
        fields[6:8] = (1).to_bytes(2, "big")
        if kind == VIDEO:
            fields[8:24] = bytes(16)
            fields[42:74] = bytes(32)
            if not kept:
                width, height = struct.unpack_from(">HH", fields, 24)
        elif fields[8:10] != bytes(2):
            raise ClipError("sound as QuickTime describes it")
        else:
            fields[10:16] = bytes(6)
        kept.append(box(codec, fields, *_described(content[_ENTRY_BYTES[kind] :])))
    if not kept:
        raise ClipError("no description of the samples")
    return box(b"stsd", bytes(4), len(kept).to_bytes(4, "big"), *kept), width, height


def _described(view: memoryview) -> Iterator[bytes]:
    for kind, content in boxes(view):
        if kind in _SETUP | _SHOWN or (kind == b"colr" and bytes(content[:4]) in _COLOURS):
            yield box(kind, content)


def _tables(samples: Parts) -> bytes:
    sizes = one(samples, b"stsz")
    listed = 0 if number(sizes, 4, 4) else number(sizes, 8, 4)
    kept = [box(b"stsz", taken(sizes, 0, 12 + 4 * listed))]
    for kind, (head, row) in _TABLES.items():
        first = samples.get(kind, [])[:1]
        kept += [box(kind, taken(t, 0, head + row * number(t, head - 4, 4))) for t in first]
    for kind in (b"sgpd", b"sbgp"):
        groups = samples.get(kind, ())
        kept += [box(kind, group) for group in groups if bytes(group[4:8]) in _GROUPS]
    return b"".join(kept)


def _chunks(samples: Parts) -> Iterator[Chunk]:
    """Where the samples are. A table that contradicts another one is an error."""
    sizes, groups = one(samples, b"stsz"), one(samples, b"stsc")
    each, count = number(sizes, 4, 4), number(sizes, 8, 4)
    listed = () if each else rows(sizes, 12, "I", count)
    offsets = _offsets(samples)
    runs = rows(groups, 8, "I", 3 * number(groups, 4, 4))
    firsts = [*runs[0::3], len(offsets) + 1]
    if firsts[0] != 1 or sorted(set(firsts)) != firsts:
        raise ClipError("chunks out of order")
    done = 0
    for first, after, in_chunk in zip(firsts, firsts[1:], runs[1::3], strict=False):
        for offset in offsets[first - 1 : after - 1]:
            more = min(in_chunk, count - done)
            yield Chunk(offset, each * more if each else sum(listed[done : done + more]))
            done += more
    if done != count:
        raise ClipError("samples in no chunk")


def _offsets(samples: Parts) -> Sequence[int]:
    wide = b"co64" in samples
    table = one(samples, b"co64" if wide else b"stco")
    return rows(table, 8, "Q" if wide else "I", number(table, 4, 4))


def _written(whole: memoryview, header: bytes, tracks: list[Track]) -> bytes:
    if sum(chunk.size for track in tracks for chunk in track.chunks) > len(whole):
        raise ClipError("more samples than bytes")
    start = len(box(b"ftyp", _brands(tracks))) + len(_movie(header, tracks, {})) + 8
    # As they followed one another, so that sound stays beside its picture.
    order = sorted({chunk for track in tracks for chunk in track.chunks})
    places, samples = {}, []
    for chunk in order:
        places[chunk] = start
        samples.append(taken(whole, chunk.offset, chunk.size))
        start += chunk.size
    if start > _LARGEST:
        raise ClipError("too large")
    return b"".join(
        (
            box(b"ftyp", _brands(tracks)),
            _movie(header, tracks, places),
            box(b"mdat", *samples),
        )
    )


def _brands(tracks: list[Track]) -> bytes:
    modern = any(b"av01" in track.entries[:24] for track in tracks)
    return _CLASSIC_BRANDS.replace(b"avc1", b"av01") if modern else _CLASSIC_BRANDS


def _movie(header: bytes, tracks: list[Track], places: dict[Chunk, int]) -> bytes:
    return box(b"moov", box(b"mvhd", header), *(_trak(each, places) for each in tracks))


def _trak(track: Track, places: dict[Chunk, int]) -> bytes:
    offsets = [places.get(chunk, 0) for chunk in track.chunks]
    moved = box(b"stco", bytes(4), struct.pack(f">I{len(offsets)}I", len(offsets), *offsets))
    own = box(b"dinf", box(b"dref", _HERE))
    info = box(b"minf", track.looks, own, box(b"stbl", track.entries, track.tables, moved))
    handler = box(b"hdlr", bytes(8), track.kind, bytes(13))
    media = box(b"mdia", box(b"mdhd", track.media_header), handler, info)
    edits = box(b"edts", box(b"elst", track.edits)) if track.edits else b""
    return box(b"trak", box(b"tkhd", track.header), edits, media)
