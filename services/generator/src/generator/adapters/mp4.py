"""MP4 without metadata: the samples of its tracks in a fresh file that starts with its index.

After ISO/IEC 14496-12. Which boxes and how much of each may stay is listed here; all else is left
out: texts, tags, times, names, further tracks, and bytes that no sample is made of.
"""

from __future__ import annotations

import struct

import msgspec

from generator.adapters import mp4_fragments
from generator.adapters.clips import (
    TRACKS_MAX,
    Allowance,
    Clip,
    ClipError,
    lasting,
    number,
    parts_allowed,
    taken,
)
from generator.adapters.mp4_boxes import SAMPLES_MAX, Parts, box, boxes, described, inside, one
from generator.adapters.mp4_fragments import Pieces
from generator.adapters.mp4_tables import Chunk, chunks, counted, tables

VIDEO, SOUND = b"vide", b"soun"
CODECS = {
    VIDEO: {b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09", b"mp4v"},
    SOUND: {b"mp4a", b"Opus", b"fLaC", b"alac", b"ac-3", b"ec-3", b".mp3"},
}
_ENTRY_BYTES = {VIDEO: 78, SOUND: 28}
_QUICKTIME_BYTES = 16
_EDITS_MAX = 16
# What nothing is told in, and where a matrix lies: from the end, the same in either version.
_MOVIE_HEADER = ((100, 112), ((-74, -64), (-28, -4)), -64)
_TRACK_HEADER = ((84, 96), ((-60, -52), (-46, -44)), -44)
_MEDIA_HEADER = ((24, 36), ((-2, 0),), 0)
_CLASSIC_BRANDS = b"isom\0\0\2\0isomiso2avc1mp41"
_UNDETERMINED = (0x55C4).to_bytes(2, "big")
_HERE = bytes.fromhex("00000000 00000001 0000000c") + b"url " + bytes.fromhex("00000001")
"""The data reference of a file that holds its own samples."""
_LARGEST = 2**32 - 1


class Track(msgspec.Struct, kw_only=True):
    kind: bytes
    header: bytes
    edits: bytes
    media_header: bytes
    looks: bytes
    """The box of a video's or a sound's own header."""
    entries: bytes
    tables: bytes
    samples: int
    length: int
    """Of all samples, by the track's own clock."""
    chunks: list[Chunk]
    width: int
    height: int


def without_metadata(body: bytes) -> Clip:
    """Raises ClipError for anything but a whole MP4 with a video track."""
    whole = memoryview(body)
    left = parts_allowed(len(body))
    movie = next((each for kind, each in boxes(whole, left) if kind == b"moov"), None)
    if movie is None:
        raise ClipError("no moov")
    parts = inside(movie)
    header = _headed(one(parts, b"mvhd"), *_MOVIE_HEADER)
    tracks = _tracks(parts)
    if b"mvex" in parts:
        begun = {_known(track): (track.tables, track.chunks) for track in tracks}
        pieces = mp4_fragments.gathered(whole, parts[b"mvex"][0], begun, left)
        header = _joined(header, tracks, pieces)
    video = next((track for track in tracks if track.kind == VIDEO), None)
    if video is None or not video.samples:
        raise ClipError("no video")
    lasting(_own_seconds(video))
    lasting(max(map(_own_seconds, tracks)))
    return Clip(
        body=_written(whole, header, tracks),
        width=video.width,
        height=video.height,
        duration_seconds=lasting(_seconds(header)),
    )


def _tracks(movie: Parts) -> list[Track]:
    every = movie.get(b"trak", ())
    if len(every) > TRACKS_MAX:
        raise ClipError("more tracks than any result")
    left = Allowance(SAMPLES_MAX)
    tracks = [track for each in every if (track := _track(each, left)) is not None]
    if len({_known(track) for track in tracks}) != len(tracks):
        raise ClipError("two tracks of one number")
    return tracks


def _known(track: Track) -> int:
    return number(memoryview(track.header), _after_times(track.header), 4)


def _joined(header: bytes, tracks: list[Track], pieces: dict[int, Pieces]) -> bytes:
    """Give tracks what their fragments hold; return the movie's header, which tells its length."""
    known = [(track, pieces.get(_known(track))) for track in tracks]
    begins = [its.start / _scale(track.media_header) for track, its in known if its and its.sizes]
    start = min(begins, default=0.0)
    lengths = [_join(track, its, _scale(header), start) for track, its in known]
    return mp4_fragments.timed(header, _after_times(header) + 4, max(lengths, default=0))


def _join(track: Track, its: Pieces | None, scale: int, start: float) -> int:
    """Return how long it lasts by the movie's clock, which is zero at `start`, in seconds."""
    if its is None:
        raise ClipError("half in fragments")
    own = _scale(track.media_header)
    length = round(its.duration * scale / own)
    delay = max(0, round((its.start / own - start) * scale)) if its.sizes else 0
    track.tables = mp4_fragments.tables(its)
    track.samples, track.length, track.chunks = len(its.sizes), its.duration, its.runs
    after = _after_times(track.header) + 8
    track.header = mp4_fragments.timed(track.header, after, length + delay)
    after = _after_times(track.media_header) + 4
    track.media_header = mp4_fragments.timed(track.media_header, after, its.duration)
    track.edits = mp4_fragments.edits_timed(track.edits, length, delay)
    return length + delay


def _headed(
    view: memoryview, sizes: tuple[int, int], blank: tuple[tuple[int, int], ...], matrix: int
) -> bytes:
    """A header of either version, without when it was made and changed."""
    version = number(view, 0, 1)
    if version > 1:
        raise ClipError("a header of the future")
    times = 4 + 2 * (8 if version else 4)
    size = sizes[version]
    fields = bytearray(taken(view, 0, size))
    fields[4:times] = bytes(times - 4)
    for start, end in blank:
        fields[size + start : size + end] = bytes(end - start)
    if matrix:
        # Its last column is the same in every video: nothing is shown in perspective.
        column = (8, bytes(4)), (20, bytes(4)), (32, b"\x40\0\0\0")
        for at, value in column:
            fields[size + matrix + at : size + matrix + at + 4] = value
    return bytes(fields)


def _after_times(header: bytes) -> int:
    return 20 if header[0] else 12


def _scale(header: bytes) -> int:
    """Units in a second: of the movie's header, or of a track's media."""
    scale = number(memoryview(header), _after_times(header), 4)
    if scale == 0:
        raise ClipError("no time scale")
    return scale


def _own_seconds(track: Track) -> float:
    return track.length / _scale(track.media_header)


def _seconds(header: bytes) -> float:
    width = 8 if header[0] else 4
    duration = number(memoryview(header), _after_times(header) + 4, width)
    return 0.0 if duration == 2 ** (8 * width) - 1 else duration / _scale(header)


def _track(view: memoryview, left: Allowance) -> Track | None:
    parts = inside(view)
    media = inside(one(parts, b"mdia"))
    kind = bytes(taken(one(media, b"hdlr"), 8, 4))
    if kind not in CODECS:
        return None
    info = inside(one(media, b"minf"))
    _check_its_own(inside(one(info, b"dinf")))
    samples = inside(one(info, b"stbl"))
    entries, width, height = _entries(one(samples, b"stsd"), kind)
    count, length = counted(samples, left)
    header = _headed(one(parts, b"tkhd"), *_TRACK_HEADER)
    known = _after_times(header) + 4
    media_header = _headed(one(media, b"mdhd"), *_MEDIA_HEADER)
    looks = (b"vmhd", 12) if kind == VIDEO else (b"smhd", 8)
    return Track(
        kind=kind,
        header=header[:known] + bytes(4) + header[known + 4 :],
        edits=_edits(parts),
        media_header=media_header[:-4] + _UNDETERMINED + bytes(2),
        looks=box(looks[0], taken(one(info, looks[0]), 0, looks[1])),
        entries=entries,
        tables=tables(samples, count),
        samples=count,
        length=length,
        chunks=list(chunks(samples, number(memoryview(entries), 12, 4))),
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
    version, count = number(edits, 0, 1), number(edits, 4, 4)
    if version > 1:
        raise ClipError("edits of the future")
    if count > _EDITS_MAX:
        raise ClipError("more edits than any result")
    if not count:
        return b""  # as none at all: a row put before none would show nothing else
    row = 20 if version else 12
    return bytes([version, 0, 0, 0]) + bytes(taken(edits, 4, 4 + row * count))


def _entries(view: memoryview, kind: bytes) -> tuple[bytes, int, int]:
    """How samples are coded, without the name of the program that did it."""
    kept: list[bytes] = []
    width = height = 0
    for codec, content in boxes(view[8:]):
        if len(kept) == TRACKS_MAX:
            raise ClipError("more descriptions than any result")
        if codec not in CODECS[kind]:
            raise ClipError("coded in a way that is not sent on")
        fields = bytearray(taken(content, 0, _ENTRY_BYTES[kind]))
        fields[:8] = (1).to_bytes(8, "big")
        if kind == VIDEO:
            fields[8:24] = bytes(16)
            fields[36:40] = bytes(4)
            fields[42:74] = bytes(32)
            if not kept:
                width, height = struct.unpack_from(">HH", fields, 24)
                if not (width and height):
                    raise ClipError("a picture of no size")
            more = content[_ENTRY_BYTES[kind] :]
        else:
            more = _of_sound(content)
            fields[8:16] = bytes(8)
            fields[20:24] = bytes(4)
        kept.append(box(codec, fields, *described(codec, more)))
    if not kept:
        raise ClipError("no description of the samples")
    return box(b"stsd", bytes(4), len(kept).to_bytes(4, "big"), *kept), width, height


def _of_sound(content: memoryview) -> memoryview:
    """The boxes that describe a sound; QuickTime has numbers before them, and a box around."""
    version, start = number(content, 8, 2), _ENTRY_BYTES[SOUND]
    if version > 1:
        raise ClipError("sound as QuickTime describes it")
    if version == 0:
        return content[start:]
    more = content[start + _QUICKTIME_BYTES :]
    return inside(more).get(b"wave", [more])[0]


def _written(whole: memoryview, header: bytes, tracks: list[Track]) -> bytes:
    if sum(chunk.size for track in tracks for chunk in track.chunks) > len(whole):
        raise ClipError("more samples than bytes")
    brands = box(b"ftyp", _brands(tracks))
    start = len(brands) + len(_movie(header, tracks, {})) + 8
    # As they followed one another, so that sound stays beside its picture.
    order = sorted({chunk for track in tracks for chunk in track.chunks})
    places, samples = {}, []
    for chunk in order:
        places[chunk] = start
        samples.append(taken(whole, chunk.offset, chunk.size))
        start += chunk.size
    if start > _LARGEST:
        raise ClipError("too large")
    head = (8 + sum(map(len, samples))).to_bytes(4, "big") + b"mdat"
    # Joined once: as its own box first, the pictures would be held three times.
    return b"".join((brands, _movie(header, tracks, places), head, *samples))


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
