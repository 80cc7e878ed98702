"""Sound stays beside its picture, and tables have no room for a text: hostile and odd files."""

import io
import resource
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from generator.adapters import aac, webm
from generator.adapters.clips import Allowance, ClipError
from generator.adapters.mp4_boxes import box, boxes
from generator.adapters.stripping import strip
from generator.domain.errors import AttemptFailedError

TOLD = b"the graph with the person's words"
PICTURES, RATE, CLOCK, HEARD = 12, 24, 12_288, 48_000
PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def video(extension, codec, *, sound="", layout="stereo", pictures="yuv420p", movable=None):
    """Half a second, with a whole picture every sixth of it."""
    target = io.BytesIO()
    with av.open(target, "w", format=extension, options=movable or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options={"g": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pictures
        heard = container.add_stream(sound, rate=HEARD, layout=layout) if sound else None
        for step in range(PICTURES):
            picture = np.full((48, 64, 3), step * 19, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if heard is not None:
            silence = np.zeros((heard.codec_context.layout.nb_channels, HEARD // 2), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout=layout)
            frame.sample_rate = HEARD
            container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return target.getvalue()


def times(body):
    """When each packet is shown or heard."""
    found = {}
    with av.open(io.BytesIO(body)) as container:
        for packet in container.demux():
            if packet.dts is not None:
                at = float(packet.pts * packet.time_base)
                found.setdefault(packet.stream.type, []).append(at)
    return found


def decoded(body):
    with av.open(io.BytesIO(body)) as container:
        kinds = [stream.type for stream in container.streams]
    found = {}
    for kind in kinds:
        with av.open(io.BytesIO(body)) as container:
            (stream,) = (each for each in container.streams if each.type == kind)
            found[kind] = [frame.to_ndarray().tobytes() for frame in container.decode(stream)]
    return found


def edit(data, path, change):
    """The same MP4 with every box at a path changed."""
    out = b""
    for kind, view in boxes(memoryview(data)):
        content = bytes(view)
        if kind == path[0]:
            content = edit(content, path[1:], change) if len(path) > 1 else change(content)
        out += box(kind, content)
    return out


def started(body, picture, sound):
    """Fragments that begin later, by so many seconds."""
    later = {1: round(picture * CLOCK), 2: round(sound * HEARD)}

    def move(traf):
        (head,) = (bytes(each) for kind, each in boxes(memoryview(traf)) if kind == b"tfhd")
        more = later[int.from_bytes(head[4:8], "big")]
        return edit(
            traf,
            [b"tfdt"],
            lambda c: c[:4] + (int.from_bytes(c[4:12], "big") + more).to_bytes(8, "big"),
        )

    return edit(body, [b"moof", b"traf"], move)


@pytest.mark.parametrize(
    ("picture", "sound"),
    [(0, 0), (0, 0.5), (0.5, 0), (100, 100), (1_700_000_000, 1_700_000_000.5)],
    ids=["at once", "sound later", "picture later", "in the middle", "by the world's clock"],
)
def test_fragments_that_start_late_keep_sound_beside_its_picture(picture, sound):
    body = video("mp4", "libx264", sound="aac", movable=PIECES)
    at_once = times(body)
    first = min(picture, sound)

    stripped = strip(started(body, picture, sound), "video", "out.mp4")

    kept = times(stripped.body)
    for kind, start in (("video", picture - first), ("audio", sound - first)):
        assert kept[kind] == pytest.approx([each + start for each in at_once[kind]], abs=0.001)
    assert stripped.duration_seconds == pytest.approx(0.52 + max(picture, sound) - first, abs=0.03)


def test_a_fragment_of_another_year_is_no_video():
    body = started(video("mp4", "libx264", sound="aac", movable=PIECES), 0, 2_000_000)

    with pytest.raises(AttemptFailedError, match="more than a day"):
        strip(body, "video", "out.mp4")


@pytest.mark.parametrize("sound", ["", "aac"])
def test_an_mp4_whose_index_tells_its_first_samples_becomes_a_whole_one(sound):
    """As FFmpeg writes `frag_keyframe` alone."""
    body = video("mp4", "libx264", sound=sound, movable={"movflags": "frag_keyframe"})
    assert body.index(b"mdat") < body.index(b"moof")

    stripped = strip(body, "video", "out.mp4").body

    assert b"moof" not in stripped
    assert times(stripped) == times(body)
    assert decoded(stripped) == decoded(body)
    assert len(decoded(stripped)["video"]) == PICTURES


@pytest.mark.parametrize("layout", ["mono", "5.1", "quad", "2.1", "3.1", "6.1", "hexagonal"])
def test_sound_of_any_speakers_can_be_heard(layout):
    body = video("mp4", "libx264", sound="aac", layout=layout)

    stripped = strip(body, "video", "out.mp4").body

    assert decoded(stripped) == decoded(body)
    assert b"Lavc6" not in stripped[: stripped.index(b"mdat")], "the encoder names itself there"


@pytest.mark.parametrize("sound", ["aac", "alac"])
def test_sound_as_quicktime_describes_it_becomes_sound_of_an_mp4(sound):
    body = video("mov", "libx264", sound=sound)
    assert b"wave" in body

    stripped = strip(body, "video", "out.mov").body

    assert b"wave" not in stripped
    assert times(stripped) == times(body)
    assert decoded(stripped) == decoded(body)


QUAD = bytes.fromhex("118004c4040021100d") + b"Lavc62.28.102" + bytes.fromhex("56e500")


def test_a_list_of_speakers_stays_without_its_comment():
    kept = aac.without_comment(QUAD)

    assert kept == bytes.fromhex("118004c40400211000") + bytes.fromhex("56e500")
    assert aac.without_comment(kept) == kept
    told = QUAD[:8] + bytes([len(TOLD)]) + TOLD + QUAD[-3:] + TOLD
    assert TOLD[:9] not in aac.without_comment(told)
    for size in range(9):
        with pytest.raises(ClipError, match="cut off"):
            aac.without_comment(QUAD[:size])


CLASSIC = video("mp4", "libx264")
TABLES = [b"moov", b"trak", b"mdia", b"minf", b"stbl"]
TEXT = (TOLD * 300)[:8_000]


def groups(count, members):
    told = box(b"sgpd", b"\1\0\0\0roll", struct.pack(">II", 2, count), (TOLD * 9)[: 2 * count])
    return told + box(b"sbgp", bytes(4), b"roll", struct.pack(">I", len(members) // 8), members)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (TABLES, lambda c: c + groups(1, TEXT)),
        (TABLES, lambda c: c + groups(1, struct.pack(">II", 0, 1) * 900 + TOLD[:8])),
        (TABLES, lambda c: c + groups(1, struct.pack(">I", 1) + TOLD[:4])),
        (TABLES, lambda c: c + groups(100, struct.pack(">II", PICTURES, 1))),
        *(([*TABLES, kind], lambda c: c[:1] + TOLD[:3] + c[4:]) for kind in (b"stts", b"stsz")),
        *(([*TABLES, kind], lambda c: TOLD[:4] + c[4:]) for kind in (b"stsc", b"stss")),
    ],
)
def test_no_table_tells_anything_but_of_samples(path, change):
    stripped = strip(edit(CLASSIC, path, change), "video", "out.mp4").body

    assert stripped == strip(CLASSIC, "video", "out.mp4").body


def test_groups_of_samples_that_are_there_stay():
    """Of AAC: how many samples a player decodes before the first one that can be heard."""
    body = video("mp4", "libx264", sound="aac")
    assert body.count(b"sbgp") == body.count(b"sgpd") == 1

    stripped = strip(body, "video", "out.mp4").body

    assert stripped.count(b"sbgp") == stripped.count(b"sgpd") == 1


def test_sound_that_lasts_for_years_is_refused():
    body = video("mp4", "libx264", sound="aac")

    def lengthened(track):
        return edit(
            track,
            [*TABLES[2:], b"stts"],
            lambda c: c[:4] + struct.pack(">III", 1, 25, 2**32 - 1),
        )

    long = edit(body, TABLES[:2], lambda c: lengthened(c) if b"soun" in c else c)

    with pytest.raises(AttemptFailedError, match="more than a day"):
        strip(long, "video", "out.mp4")


def elements(data):
    return [(kind, bytes(each)) for kind, each in webm._elements(data, Allowance(9_999))]


def sized(body, side):
    """A WebM that tells this width."""
    out = webm.MAGIC + b"\x80"
    for kind, content in elements(memoryview(body))[1:]:
        if kind in webm._ENDLESS:
            out += webm._named(kind) + b"\xff"
        elif kind == webm._TRACKS:
            ((_, track),) = elements(memoryview(content))
            fields = dict(elements(memoryview(track)))
            picture = dict(elements(memoryview(fields[webm._VIDEO]))) | {webm._WIDTH: side}
            fields[webm._VIDEO] = b"".join(webm._element(*each) for each in picture.items())
            track = b"".join(webm._element(*each) for each in fields.items())
            out += webm._element(kind, webm._element(webm._TRACK, track))
        else:
            out += webm._element(kind, content)
    return out


@pytest.mark.parametrize("side", [b"", b"\0", b"\1\0\0", b"\xff" * 8])
def test_a_picture_nobody_has_a_screen_for_is_refused(side):
    """Who is told of it would be refused by Telegram, or by a table's column."""
    body = video("webm", "libvpx-vp9")
    assert strip(sized(body, b"\x40"), "video", "out.webm").width == 64

    with pytest.raises(AttemptFailedError, match="no size"):
        strip(sized(body, side), "video", "out.webm")


@pytest.mark.parametrize(("pictures", "stays"), [("yuv420p", False), ("yuva420p", True)])
def test_what_is_added_to_a_block_stays_where_a_picture_has_transparency(pictures, stays):
    body = video("webm", "libvpx-vp9", pictures=pictures)
    added = webm._element(webm._MORE, webm._element(webm._ADDED, TOLD))
    block = webm._element(webm._BLOCK, b"\x81\0\0\0a picture")
    body += webm._element(webm._GROUP, block, webm._element(webm._ADDITIONS, added))

    stripped = strip(body, "video", "out.webm").body

    assert b"a picture" in stripped
    assert (TOLD in stripped) == stays


@pytest.mark.parametrize("extension", ["mp4", "webm"])
def test_a_large_video_is_held_twice_at_most(extension):
    """The pod has room for no more of them."""
    size = 64 << 20
    if extension == "webm":
        block = webm._element(webm._SIMPLE, b"\x81\0\0\0" + bytes(1 << 20))
        body = video("webm", "libvpx-vp9") + block * (size >> 20)
    else:
        one = {
            b"stsz": struct.pack(">5I", 0, 0, 2, size // 2, size // 2),
            b"stsc": struct.pack(">5I", 0, 1, 1, 2, 1),
            b"stts": struct.pack(">4I", 0, 1, 2, 512),
            b"stss": struct.pack(">3I", 0, 1, 1),
            b"stco": struct.pack(">3I", 0, 1, 2_000),
        }
        body = CLASSIC
        for kind, content in one.items():
            body = edit(body, [*TABLES, kind], lambda _, content=content: content)
        body += box(b"mdat", bytes(size + 2_000))
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + size + (16 << 20), before[1]))
    try:
        stripped = strip(body, "video", f"out.{extension}")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

    assert len(stripped.body) > size


def test_a_million_small_blocks_take_little_more_than_their_bytes():
    """Each an object of its own, they would take as much again: more than the pod has."""
    block = webm._element(webm._SIMPLE, b"\x81\0\0\0" + bytes(250))
    body = video("webm", "libvpx-vp9") + block * 100_000
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 2 * len(body) + (9 << 20), before[1]))
    try:
        stripped = strip(body, "video", "out.webm")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

    assert len(stripped.body) >= 100_000 * len(block)
