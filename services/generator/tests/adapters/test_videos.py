"""A video leaves with every packet it came with, at its time, and with nothing said about it."""

import io
import random
from fractions import Fraction

import av
import numpy as np
import pytest

from generator.adapters import mp4, webm
from generator.adapters.stripping import strip
from generator.domain.errors import AttemptFailedError

SECRET = "the graph with the person's words"
PICTURES = 13


def video(extension, codec, *, sound="", options=None, container_options=None):
    """Two thirds of a second at 19.5 pictures a second, tagged wherever a tag has a place."""
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


@pytest.mark.parametrize("extension", ["avi", "flv", "mpegts"])
def test_other_containers_are_refused(extension):
    with pytest.raises(AttemptFailedError):
        strip(video(extension, "libx264"), "video", f"out.{extension}")


def test_a_codec_that_a_phone_may_not_know_is_refused():
    with pytest.raises(AttemptFailedError):
        strip(video("matroska", "libx264"), "video", "out.mkv")


def test_a_video_cut_anywhere_is_damaged(made):
    whole = strip(made, "video", "out.mp4").body

    for cut in random.Random(7).sample(range(len(whole)), 60):
        with pytest.raises(AttemptFailedError):
            strip(whole[:cut], "video", "out.mp4")


def test_no_damage_does_anything_but_refuse(made):
    whole = strip(made, "video", "out.mp4").body
    chance = random.Random(11)

    for turn in range(600):
        damaged = bytearray(whole if turn % 2 else made)
        head = min(len(damaged), 2_000)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(head)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        remux = webm.without_metadata if whole.startswith(webm.MAGIC) else mp4.without_metadata
        try:
            clip = remux(bytes(damaged))
        except ValueError:
            continue
        assert len(clip.body) <= 2 * len(whole)
