"""A video leaves with every packet it came with, at its time, and with nothing said about it."""

import io
import random
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from generator.adapters import mp4, webm
from generator.adapters.clips import Allowance
from generator.adapters.mp4_boxes import box, boxes
from generator.adapters.stripping import strip
from generator.domain.errors import AttemptFailedError

SECRET = "the graph with the person's words"
PICTURES = 13
AV1 = Path(__file__).parent / "data"
"""Files that `video` made: as root their encoder takes real-time priority, and all of two cores."""


def video(extension, codec, *, sound="", options=None, container_options=None):
    """Two thirds of a second at 19.5 pictures a second, tagged wherever a tag has a place."""
    if codec == "libsvtav1":
        return (AV1 / f"av1.{extension}").read_bytes()
    target = io.BytesIO()
    with av.open(target, "w", format=extension, options=container_options or {}) as container:
        for key in ("comment", "title", "prompt"):
            container.metadata[key] = SECRET
        stream = container.add_stream(codec, rate=Fraction(39, 2), options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["title"] = stream.metadata["handler_name"] = SECRET
        heard = container.add_stream(sound, rate=48_000, layout="stereo") if sound else None
        for step in range(PICTURES):
            picture = np.full((48, 64, 3), step * 19, np.uint8)
            picture[:, step : step + 20] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if heard is not None:
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 32_000), np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate = 48_000
            container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return target.getvalue()


def packets(body):
    """What a player is given: of each stream its packets with their times."""
    found = {}
    with av.open(io.BytesIO(body)) as container:
        for packet in container.demux():
            if packet.dts is not None:
                told = (
                    float(packet.pts * packet.time_base),
                    float(packet.dts * packet.time_base),
                    packet.is_keyframe,
                    bytes(packet),
                )
                found.setdefault(packet.stream.type, []).append(told)
    return found


KINDS = [
    ("mp4", "libx264", ""),
    ("mp4", "libx264", "aac"),
    ("mp4", "libx265", ""),
    ("mov", "libx264", ""),
    ("mp4", "libsvtav1", "libopus"),
    ("webm", "libvpx-vp9", ""),
    ("webm", "libvpx", "libopus"),
    ("webm", "libsvtav1", "libopus"),
    ("matroska", "libvpx-vp9", "libopus"),
    ("pieces", "libx264", "aac"),
    ("mp4", "libvpx-vp9", "alac"),
    ("mp4", "libx264", "eac3"),
]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def made(request):
    extension, codec, sound = request.param
    flags = "use_metadata_tags" + ("+frag_keyframe+empty_moov" if extension == "pieces" else "")
    movable = {"movflags": flags} if extension in ("mp4", "mov", "pieces") else {}
    container = "mp4" if extension == "pieces" else extension
    return video(container, codec, sound=sound, container_options=movable)


def test_every_packet_stays_at_its_time(made):
    stripped = strip(made, "video", "out.mp4")

    assert packets(stripped.body) == packets(made)
    assert set(packets(made)["video"][0]) > {0.0}


def test_every_picture_can_be_seen(made):
    stripped = strip(made, "video", "out.mp4")

    with av.open(io.BytesIO(stripped.body)) as kept, av.open(io.BytesIO(made)) as given:
        before = [frame.to_ndarray() for frame in given.decode(video=0)]
        after = [frame.to_ndarray() for frame in kept.decode(video=0)]
    assert len(after) == PICTURES
    assert all((a == b).all() for a, b in zip(after, before, strict=True))
    assert (stripped.width, stripped.height) == (64, 48)
    assert stripped.duration_seconds == pytest.approx(PICTURES / 19.5, abs=0.13)


def test_nothing_is_said_about_it(made):
    assert SECRET.encode() in made

    stripped = strip(made, "video", "out.mp4").body

    assert SECRET.encode() not in stripped
    assert b"Lavf" not in stripped
    with av.open(io.BytesIO(stripped)) as kept:
        said = {k: v for k, v in kept.metadata.items() if k not in ("encoder", "ENCODER")}
        assert set(said) <= {"major_brand", "minor_version", "compatible_brands"}


def test_what_is_stripped_once_is_not_changed_again(made):
    once = strip(made, "video", "out.mp4").body

    assert strip(once, "video", "out.mp4").body == once


def test_it_can_be_played_from_any_place(made):
    stripped = strip(made, "video", "out.mp4").body

    with av.open(io.BytesIO(stripped)) as kept:
        kept.seek(500_000)
        first = next(kept.decode(video=0))
        assert first.time <= 0.5


def test_an_mp4_starts_with_its_index():
    stripped = strip(video("mp4", "libx264"), "video", "out.mp4").body

    assert stripped.index(b"moov") < stripped.index(b"mdat")


def test_bytes_that_no_picture_is_made_of_are_left_out():
    body = video("mp4", "libx264")
    hidden = SECRET.encode()
    for kind in (b"uuid", b"free", b"meta", b"mdat", b"skip", b"new!"):
        body += (8 + len(hidden)).to_bytes(4, "big") + kind + hidden

    stripped = strip(body, "video", "out.mp4").body

    assert hidden not in stripped
    assert packets(stripped) == packets(body)


def test_a_further_track_is_left_out():
    body = video("mp4", "libx264", sound="aac").replace(b"soun", b"text")

    stripped = strip(body, "video", "out.mp4").body

    with av.open(io.BytesIO(stripped)) as kept:
        assert [stream.type for stream in kept.streams] == ["video"]
    assert packets(stripped)["video"] == packets(body)["video"]


def test_a_webm_written_as_it_came_has_an_end_and_an_index_afterwards():
    body = video("webm", "libvpx-vp9", container_options={"live": "1"})
    with av.open(io.BytesIO(body)) as given:
        assert given.duration is None

    stripped = strip(body, "video", "out.webm")

    assert packets(stripped.body) == packets(body)
    assert stripped.duration_seconds == pytest.approx(PICTURES / 19.5, abs=0.06)


PIECES = ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof", "dash"]


@pytest.mark.parametrize("sound", ["", "aac"])
@pytest.mark.parametrize("pieces", PIECES)
def test_an_mp4_written_in_pieces_becomes_a_whole_one(pieces, sound):
    body = video(
        "mp4",
        "libx264",
        sound=sound,
        options={"g": "5", "bf": "2"},
        container_options={"movflags": pieces + "+use_metadata_tags"},
    )
    assert b"moof" in body

    stripped = strip(body, "video", "out.mp4")

    assert b"moof" not in stripped.body
    assert SECRET.encode() not in stripped.body
    assert packets(stripped.body) == packets(body)
    assert sum(each[2] for each in packets(stripped.body)["video"]) == 3
    with av.open(io.BytesIO(stripped.body)) as kept, av.open(io.BytesIO(body)) as given:
        assert stripped.duration_seconds == pytest.approx(given.duration / av.time_base, abs=0.15)
        assert sum(1 for _ in kept.decode(video=0)) == PICTURES


def test_a_clock_that_leaps_to_its_end_in_the_middle_is_refused():
    options = {"movflags": "frag_keyframe+empty_moov"}
    body = bytearray(video("mp4", "libx264", options={"g": "5"}, container_options=options))
    second = body.index(b"tfdt", body.index(b"tfdt") + 1)
    body[second + 8 : second + 16] = b"\x7f" + 7 * b"\xff"

    with pytest.raises(AttemptFailedError):
        strip(bytes(body), "video", "out.mp4")


def test_a_video_cut_anywhere_is_damaged(made):
    whole = strip(made, "video", "out.mp4").body

    for cut in random.Random(7).sample(range(len(whole)), 60):
        with pytest.raises(AttemptFailedError):
            strip(whole[:cut], "video", "out.mp4")


def places(body):
    """Where a number stands that the rest is read by, and not a picture."""
    if body.startswith(webm.MAGIC):
        blocks = re.finditer(b"[\xa3\xa0\xe7]", body)
        return [*range(400), *(at for m in blocks for at in range(m.start(), m.start() + 9))]
    kinds = b"moov|trak|tkhd|mdhd|elst|stsz|stsc|stts|stco|stss|ctts|...C|esds|trex|tfhd|trun"
    return [at for m in re.finditer(kinds, body) for at in range(m.start() - 4, m.end() + 36)]


def test_no_damage_does_anything_but_refuse(made):
    whole = strip(made, "video", "out.mp4").body
    chance = random.Random(11)
    places_in = [[at for at in places(body) if at < len(body)] for body in (made, whole)]

    for turn in range(600):
        damaged = bytearray(whole if turn % 2 else made)
        hot = places_in[turn % 2]
        for _ in range(chance.randrange(1, 4)):
            at, size = chance.choice(hot), chance.choice((1, 1, 4))
            damaged[at : at + size] = chance.choice((b"\0", b"\1", b"\x7f", b"\xff")) * size
        remux = webm.without_metadata if whole.startswith(webm.MAGIC) else mp4.without_metadata
        try:
            clip = remux(bytes(damaged))
        except ValueError:
            continue
        assert len(clip.body) <= 2 * len(made)


def edit(data, path, change):
    """The same MP4 with one box of it changed."""
    heads = {b"stsd": 8, b"avc1": 78}
    out = b""
    for kind, view in boxes(memoryview(data)):
        content, head = bytes(view), heads.get(kind, 0)
        if kind == path[0] and len(path) > 1:
            content = content[:head] + edit(content[head:], path[1:], change)
        elif kind == path[0]:
            content = change(content)
        out += box(kind, content)
    return out


TOLD = SECRET.encode()
CLASSIC, OPEN = video("mp4", "libx264"), video("webm", "libvpx-vp9")
TRACK = [b"moov", b"trak"]
TABLES = [*TRACK, b"mdia", b"minf", b"stbl"]
ENTRY = [*TABLES, b"stsd", b"avc1"]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ([*ENTRY, b"avcC"], lambda c: c + TOLD),
        (ENTRY, lambda c: TOLD[:6] + c[6:36] + TOLD[:4] + c[40:]),
        (ENTRY, lambda c: c + box(b"colr", b"nclx" + bytes(7) + TOLD)),
        (ENTRY, lambda c: c + box(b"pasp", bytes(8) + TOLD * 3000)),
        (ENTRY, lambda c: c + box(b"esds", TOLD)),
        (TABLES, lambda c: c + box(b"sgpd", bytes(4) + b"roll" + TOLD)),
        (TABLES, lambda c: c + box(b"sbgp", bytes(4) + b"prol" + TOLD * 1000)),
        ([b"moov", b"mvhd"], lambda c: c[:70] + TOLD[:26] + c[96:]),
        ([b"moov", b"mvhd"], lambda c: c[:26] + TOLD[:10] + c[36:]),
        ([*TRACK, b"tkhd"], lambda c: c[:24] + TOLD[:8] + c[32:]),
    ],
)
def test_what_is_told_in_boxes_that_stay_is_cut_off(path, change):
    told = edit(CLASSIC, path, change)

    stripped = strip(told, "video", "out.mp4").body

    assert TOLD[:4] not in stripped
    assert packets(stripped) == packets(CLASSIC)


def retold(body, name, change):
    """The same WebM with the content of one kind of top element changed, and no sizes known."""
    out = webm.MAGIC + b"\x80"
    for kind, content in [*webm._elements(memoryview(body), Allowance(9_999))][1:]:
        if kind in webm._ENDLESS:
            out += webm._named(kind) + b"\xff"
        else:
            out += webm._element(kind, change(bytes(content)) if kind == name else content)
    return out


def tracked(body, change):
    def of_tracks(content):
        left = Allowance(9_999)
        return b"".join(
            webm._element(kind, change(bytes(each)))
            for kind, each in webm._elements(memoryview(content), left)
        )

    return retold(body, webm._TRACKS, of_tracks)


@pytest.mark.parametrize("name", [webm._CODEC, webm._SETUP])
def test_a_webm_that_tells_its_codec_twice_is_refused(name):
    told = tracked(video("webm", "libsvtav1"), lambda c: c + webm._element(name, TOLD))

    with pytest.raises(AttemptFailedError, match="told twice"):
        strip(told, "video", "out.webm")


@pytest.mark.parametrize("name", [webm._SETUP, webm._EACH, webm._NUMBER])
def test_what_is_told_in_elements_that_stay_is_left_out(name):
    size = len(TOLD) if name == webm._SETUP else 8
    more = b"".join(webm._element(name, TOLD[at : at + size]) for at in range(0, len(TOLD), size))
    told = tracked(OPEN, lambda c: c + more)

    stripped = strip(told, "video", "out.webm").body

    assert TOLD[:8] not in stripped
    assert packets(stripped) == packets(OPEN)


PIECE = {"movflags": "frag_keyframe+empty_moov"}


def in_pieces(count, size, tracks=1):
    """A film of many pictures in a few bytes: none of them says anything of its own."""
    body = video("mp4", "libx264", container_options=PIECE)
    run = box(b"trun", bytes(4), struct.pack(">I", count))
    head = box(b"tfhd", struct.pack(">IIII", 0x18, 1, 512, size))
    body = edit(body, [b"moof"], lambda _: box(b"traf", head, run))
    moov = next(bytes(c) for k, c in boxes(memoryview(body)) if k == b"moov")
    track = next(box(k, c) for k, c in boxes(memoryview(moov)) if k == b"trak")
    return edit(body, [b"moov"], lambda c: c + track * (tracks - 1))


FEW_BYTES = {
    "samples of nothing": (in_pieces(1_000_000, 0), "more parts"),
    "more samples than bytes": (in_pieces(1_000_000, 1), "more parts"),
    "one track many times": (in_pieces(3, 1, tracks=3), "two tracks"),
    "many tracks": (in_pieces(3, 1, tracks=30), "more tracks"),
}


@pytest.mark.parametrize(("body", "said"), FEW_BYTES.values(), ids=FEW_BYTES)
def test_few_bytes_do_not_cost_much(body, said):
    with pytest.raises(AttemptFailedError, match=said):
        strip(body, "video", "out.mp4")


def emptied(body):
    """A WebM whose blocks have a head and no picture."""
    left = Allowance(9_999)
    out = webm.MAGIC + b"\x80"
    for kind, content in [*webm._elements(memoryview(body), left)][1:]:
        known = webm._named(kind) + b"\xff"
        size = 4 if kind == webm._SIMPLE else len(content)
        out += known if kind in webm._ENDLESS else webm._element(kind, content[:size])
    return out


def zeroed(row):
    return lambda c: c[:8] + b"".join(c[at : at + 4] + bytes(4) for at in range(8, len(c), row))


LONG = struct.pack(">II", 1, 90_000)
SLOW = webm._element(webm._SCALE, b"\xff" * 8) + webm._element(webm._DURATION, bytes(7) + b"\1")
NOTHING = {
    "pieces": (in_pieces(13, 0), "a sample of nothing"),
    "samples": (
        edit(CLASSIC, [*TABLES, b"stsz"], lambda c: c[:12] + bytes(len(c) - 12)),
        "a sample of nothing",
    ),
    "blocks": (emptied(OPEN), "a block of nothing"),
    "no time for a sample": (edit(CLASSIC, [*TABLES, b"stts"], zeroed(8)), "lasts no time"),
    "no time": (edit(CLASSIC, [b"moov", b"mvhd"], lambda c: c[:16] + bytes(4) + c[20:]), "no time"),
    "days": (edit(CLASSIC, [b"moov", b"mvhd"], lambda c: c[:12] + LONG + c[20:]), "than a day"),
    "ages": (retold(OPEN, webm._INFO, lambda _: SLOW), "than a day"),
}


@pytest.mark.parametrize(("body", "said"), NOTHING.values(), ids=NOTHING)
def test_what_nobody_can_watch_is_no_result(body, said):
    with pytest.raises(AttemptFailedError, match=said):
        strip(body, "video", "out.mp4")
