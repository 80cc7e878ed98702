"""What a codec is set up with is read by hand: few bytes of it must not cost a server its time."""

import io
import struct
import time

import av
import numpy as np
import pytest

from generator.adapters import aac, webm
from generator.adapters.clips import Allowance, ClipError, av1_setup, vorbis_setup
from generator.adapters.mp4_boxes import box, boxes, described
from generator.adapters.stripping import strip
from generator.domain.errors import AttemptFailedError

PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
TRACK = [b"moov", b"trak"]
TABLES = [*TRACK, b"mdia", b"minf", b"stbl"]


def video(extension="mp4", codec="libx264", movable=None):
    target = io.BytesIO()
    with av.open(target, "w", format=extension, options=movable or {}) as container:
        stream = container.add_stream(codec, rate=24, options={"g": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for step in range(12):
            picture = np.full((48, 64, 3), step * 19, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


def edit(data, path, change):
    """The same MP4 with every box at a path changed."""
    out = b""
    for kind, view in boxes(memoryview(data)):
        content = bytes(view)
        if kind == path[0]:
            content = edit(content, path[1:], change) if len(path) > 1 else change(content)
        out += box(kind, content)
    return out


def times(body):
    with av.open(io.BytesIO(body)) as container:
        return [float(each.pts * each.time_base) for each in container.demux() if each.size]


def es(setup):
    def told(tag, content):
        size = len(content).to_bytes(4, "big")
        bits = int.from_bytes(size, "big")
        lengths = bytes([bits >> shift & 127 | 128 for shift in (21, 14, 7)]) + bytes([bits & 127])
        return bytes([tag]) + lengths + content

    return bytes(4) + told(3, b"\0\1\0" + told(4, b"\x20" + bytes(12) + told(5, setup)))


MANY = 100_000
COSTLY = {
    "a size of AV1 without an end": (b"av01", b"av1C", b"\x81\0\0\0\x2a" + b"\xff" * MANY),
    "OBUs": (b"av01", b"av1C", b"\x81\0\0\0" + b"\x2a\0" * MANY),
    "parameter sets": (
        b"hvc1",
        b"hvcC",
        bytes(22) + b"\2" + (b"\x21\xff\xff" + bytes(131_070)) * 2,
    ),
    "texts": (b"mp4v", b"esds", es(b"\0\0\1\xb2" * MANY)),
}


@pytest.mark.parametrize(("codec", "kind", "setup"), COSTLY.values(), ids=COSTLY)
def test_a_setup_of_nothing_but_heads_is_not_read_to_its_end(codec, kind, setup):
    began = time.thread_time()

    with pytest.raises(ClipError, match=r"more parts|without an end|more setup"):
        list(described(codec, memoryview(box(kind, setup))))

    assert time.thread_time() - began < 0.5


def test_laces_of_vorbis_are_not_counted_to_their_end():
    with pytest.raises(ClipError, match="more parts"):
        vorbis_setup(memoryview(b"\2" + b"\xff" * MANY))


def test_a_size_of_av1_in_as_many_bytes_as_it_may_have_is_read():
    head = b"\x81\0\0\0\x0a" + b"\x81" + b"\x80" * 6 + b"\0x"

    assert av1_setup(memoryview(head + b"\x2a\1t")) == head


def test_descriptions_of_samples_are_not_read_to_their_end():
    """Each of a few hundred could be as costly as the dearest one."""
    body = edit(video(), [*TABLES, b"stsd"], lambda c: c + c[8:] * 8 + box(b"none"))

    with pytest.raises(AttemptFailedError, match="more descriptions"):
        strip(body, "video", "out.mp4")


def test_fragments_by_another_description_are_refused_as_where_they_say_so_themselves():
    """The tables that are written know the first one alone."""
    body = video(movable=PIECES)
    other = edit(body, [b"moov", b"mvex", b"trex"], lambda c: c[:8] + b"\0\0\0\2" + c[12:])

    assert strip(body, "video", "out.mp4")
    with pytest.raises(AttemptFailedError, match="nobody described"):
        strip(other, "video", "out.mp4")


def test_a_list_of_no_edits_is_none():
    """In fragments that start late it would be a list of nothing but the wait."""
    body = video(movable=PIECES)
    none = box(b"edts", box(b"elst", bytes(8)))
    late = edit(body, TRACK, lambda c: b"".join(parts_without(c, b"edts")) + none)

    stripped = strip(late, "video", "out.mp4").body

    assert b"elst" not in stripped
    assert len(times(stripped)) == 12


def parts_without(content, unwanted):
    return [box(kind, each) for kind, each in boxes(memoryview(content)) if kind != unwanted]


@pytest.mark.parametrize("side", [24, 26])
def test_an_mp4_of_no_width_or_no_height_is_refused(side):
    body = edit(video(), [*TABLES, b"stsd"], lambda c: c[: 16 + side] + bytes(2) + c[18 + side :])

    with pytest.raises(AttemptFailedError, match="no size"):
        strip(body, "video", "out.mp4")


def test_pictures_before_the_tracks_they_are_of_are_not_dropped_in_silence():
    body = video("webm", "libvpx-vp9")
    parts = [*webm._elements(memoryview(body), Allowance(9_999))][1:]
    picture = next(bytes(each) for kind, each in parts if kind == webm._SIMPLE)
    early = webm._named(webm._CLUSTER) + b"\xff" + webm._element(webm._SIMPLE, picture)
    out = webm.MAGIC + b"\x80" + webm._named(webm._SEGMENT) + b"\xff" + early
    for kind, content in parts:
        ends = kind in webm._ENDLESS
        out += webm._named(kind) + b"\xff" if ends else webm._element(kind, content)

    with pytest.raises(AttemptFailedError, match="nobody described"):
        strip(out, "video", "out.webm")


def setup_of(codec, comment):
    """AAC of two channels that are listed one by one, as FFmpeg does where no layout is known."""
    bits = f"{codec:05b}" + "0011" + "0000" + "000" + "0000" + "00" + "0011"
    bits += "0001" + "0000" * 2 + "00" + "000" + "0000" + "000" + "10000"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") + bytes([len(comment)]) + comment


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_comment_of_aac_of_any_kind_is_left_out(codec):
    told = setup_of(codec, b"Lavc62.28.102 and more")

    kept = b"".join(described(b"mp4a", memoryview(box(b"esds", aac_es(told)))))

    assert codec in aac.PLAIN
    assert b"Lavc" not in kept
    assert told[:-23] + b"\0" in kept


def aac_es(setup):
    return es(setup).replace(b"\x20" + bytes(12), b"\x40" + bytes(12))


def test_a_clip_of_two_descriptions_stays():
    """One file of two recordings; each of its chunks says which it is of."""
    body = edit(video(), [*TABLES, b"stsd"], lambda c: c[:4] + struct.pack(">I", 2) + c[8:] * 2)

    assert times(strip(body, "video", "out.mp4").body) == times(body)
