"""Valid files of kinds that readers get wrong: what is seen and heard is what FFmpeg's player shows."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.extraction import MediaError, Tracks, read_clip
from avhash_nas.extraction.clock import Packets, mend
from media.make import clock, make_video, time_shown, tone_of
from media.remux import gathered, packed_xvid, remux, trimmed

SIZE = (64, 48)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(color):
    return lambda _: np.full((48, 64, 3), color, np.uint8)


def middles(seconds, steps):
    return (np.arange(steps) + 0.5) / steps * seconds


def in_order(path):
    """All frames, RGB, in the order in which the decoder gives them from the first packet on."""
    with av.open(str(path)) as container:
        return np.stack(
            [each.to_ndarray(format="rgb24", interpolation="BICUBIC") for each in container.decode(video=0)]
        )


def is_blue(clip):
    """Of each frame."""
    return clip.frames.mean((1, 2)).argmax(1) == 2


def pitch(segments, rate=16000):
    sound = segments.reshape(-1)
    return np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * rate / len(sound)


def loudness(clip):
    return np.sqrt((clip.segments**2).mean(1))


# ---- times and order


def test_two_pictures_in_a_packet_of_xvid(tmp_path):
    """Packets of six bytes are flagged as key frames, and timestamps are not in the order of frames."""
    path = packed_xvid(tmp_path / "v.avi", 10.0, 25, SIZE, clock(SIZE, 10.0), keys=12)
    everything = in_order(path)
    for steps in (1, 3, 25):
        clip = read_clip(path, steps=steps)
        assert (clip.seconds, clip.notes) == (10.0, ("no_audio",))
        np.testing.assert_array_equal(clip.frames, everything[(middles(10.0, steps) * 25 + 1e-6).astype(int)])


@pytest.mark.parametrize("name", ["v.avi", "v.mp4", "v.mkv"])
@pytest.mark.parametrize("keys", [10, 250])
def test_times_of_b_frames_are_those_of_decoding(tmp_path, name, keys):
    """AVI knows no other times; other containers hold what a careless program wrote."""
    source = make_video(
        tmp_path / ("v.avi" if name == "v.avi" else "source.mp4"),
        fps=1,
        seconds=50.0,
        picture=clock(SIZE, 50.0),
        audio=None,
        codec_options={"g": str(keys)},
    )

    def careless(packet):
        packet.pts = packet.dts = packet.dts + round(2 / packet.time_base)
        return True

    clip = read_clip(source if name == "v.avi" else remux(source, tmp_path / name, careless))
    shown = time_shown(clip.frames, 50.0)
    assert clip.seconds == pytest.approx(50, abs=0.01)
    np.testing.assert_allclose(shown, middles(50.0, 25), atol=0.45)


def test_pictures_and_sound_of_avi_with_b_frames_go_together(tmp_path):
    """The picture changes and the tone starts after 4 of 8 s."""
    picture = lambda time: plain(BLUE if time >= 4 else RED)(time)  # noqa: E731
    tone = lambda times: tone_of(700.0)(times) * (times >= 4)  # noqa: E731
    path = make_video(
        tmp_path / "v.avi",
        seconds=8.0,
        fps=2,
        picture=picture,
        sound=tone,
        audio="pcm_s16le",
        codec_options={"bf": "3"},
    )
    clip = read_clip(path, steps=8)
    np.testing.assert_array_equal(is_blue(clip), np.arange(8) >= 4)
    np.testing.assert_array_equal(loudness(clip) > 0.1, np.arange(8) >= 4)


def test_rotation_told_once(tmp_path):
    """In H.264 itself, at the first picture only."""
    source = make_video(tmp_path / "v.ts", seconds=10.0, audio=None, codec_options={"g": "10"})
    told = remux(source, tmp_path / "turned.ts", video_filter="h264_metadata=display_orientation=insert:rotate=90")
    first = tmp_path / "once.ts"
    first.write_bytes(told.read_bytes()[: 188 * 12] + source.read_bytes()[188 * 12 :])
    for path in (told, first):
        for steps in (1, 3, 10, 25):
            assert read_clip(path, steps=steps).frames.shape == (steps, 64, 48, 3)


# ---- what is in the file


@pytest.mark.parametrize("cut", [0.5, 3.0, 4.9])
def test_file_trimmed_without_encoding_is_whole(tmp_path, cut):
    """Packets before the cut are in the file, because later ones need them, and are not shown."""
    whole = make_video(tmp_path / "v.mp4", seconds=10.0, picture=clock(SIZE, 10.0), codec_options={"g": "50"})
    clip = read_clip(trimmed(whole, tmp_path / "trimmed.mp4", cut))
    assert clip.notes == ()
    assert clip.seconds == pytest.approx(10 - cut, abs=0.01)
    np.testing.assert_allclose(time_shown(clip.frames, 10.0), cut + middles(10 - cut, 25), atol=0.2)


@pytest.mark.parametrize(("pictures", "sound"), [(0.1, 30.0), (1.0, 10.0)])
@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_last_frame_is_held_under_longer_sound(tmp_path, name, pictures, sound):
    tone = lambda times: tone_of(300.0)(times) * (times >= sound / 2)  # noqa: E731
    path = make_video(
        tmp_path / name, seconds=pictures, audio_seconds=sound, sound=tone, rate=16000, picture=clock(SIZE, 10.0)
    )
    clip = read_clip(path, steps=10)
    assert clip.seconds == pytest.approx(sound, abs=0.1)
    assert "held" in clip.notes
    assert ("short" in clip.notes) == (pictures < 1)
    np.testing.assert_array_equal(loudness(clip) > 0.25, np.arange(10) >= 5)
    shown = np.minimum(np.floor(middles(sound, 10) * 10) / 10, pictures - 0.1)
    np.testing.assert_allclose(time_shown(clip.frames, 10.0), shown, atol=0.12)


def test_slightly_longer_sound_changes_nothing(tmp_path):
    """Codecs fill up their last packet."""
    paths = [make_video(tmp_path / f"{seconds}.mkv", audio_seconds=seconds, rate=16000) for seconds in (2.0, 2.3)]
    clips = [read_clip(path, steps=10) for path in paths]
    assert clips[1].seconds == 2.0
    assert clips[1].notes == ()
    np.testing.assert_array_equal(clips[0].frames, clips[1].frames)


def test_sound_before_the_first_frame_is_told(tmp_path):
    def later(packet):
        if packet.stream.type == "video":
            packet.pts, packet.dts = (time + round(3 / packet.time_base) for time in (packet.pts, packet.dts))
        return True

    path = remux(make_video(tmp_path / "v.mp4", audio_seconds=5.0), tmp_path / "late.mkv", later)
    clip = read_clip(path, steps=10)
    assert clip.notes == ("early_sound",)
    assert clip.seconds == pytest.approx(2, abs=0.01)


# ---- which track


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Red, then blue as default; silence, then 400 Hz as default and 900 Hz."""
    folder = tmp_path_factory.mktemp("several")
    red, blue = (
        make_video(folder / f"{name}.mkv", picture=plain(color), audio=None)
        for name, color in (("r", RED), ("b", BLUE))
    )
    silence, low, high = (
        make_video(folder / f"{tone}.mkv", tone=tone, sound=lambda times, tone=tone: (tone > 0) * tone_of(tone)(times))
        for tone in (0.0, 400.0, 900.0)
    )
    tracks = [(red, "video", False, "und"), (blue, "video", True, "und"), (silence, "audio", False, "eng")]
    tracks += [(low, "audio", True, "deu"), (high, "audio", False, "fra")]
    return {name: gathered(folder / name, tracks) for name in ("v.mp4", "v.mkv")}


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
@pytest.mark.parametrize(
    ("tracks", "blue", "tone", "notes"),
    [
        (Tracks(), True, 400, ("video_track_1", "audio_track_1")),
        (Tracks(video="0", audio="2"), False, 900, ("video_track_0", "audio_track_2")),
        (Tracks(audio="fra"), True, 900, ("video_track_1", "audio_track_2")),
    ],
)
def test_default_tracks_are_read_or_those_asked_for(several, name, tracks, blue, tone, notes):
    clip = read_clip(several[name], steps=5, tracks=tracks)
    assert is_blue(clip).all() == blue
    assert pitch(clip.segments) == pytest.approx(tone, abs=3)
    assert clip.notes == notes


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        (Tracks(audio="3"), r"no audio track 3; its audio tracks: 0 \(eng\), 1 \(deu\), 2 \(fra\)"),
        (Tracks(audio="ita"), "no audio track ita"),
        (Tracks(video="2"), "no video track 2"),
    ],
)
def test_tracks_that_a_file_lacks(several, tracks, reason):
    with pytest.raises(MediaError, match=reason):
        read_clip(several["v.mkv"], tracks=tracks)


def test_silent_file_needs_no_audio_track(tmp_path):
    path = make_video(tmp_path / "v.mkv", audio=None)
    assert read_clip(path, steps=10, tracks=Tracks(audio="deu")).notes == ("no_audio",)


# ---- files joined byte by byte


def part(path, color, tone, seconds=4.0):
    return make_video(path, seconds=seconds, picture=plain(color), tone=tone, codec_options={"g": "10"})


def joined(path, *sources):
    path.write_bytes(b"".join(each.read_bytes() for each in sources))
    return path


def moved(source, path, seconds):
    """The same file by another clock."""

    def later(packet):
        ticks = round(seconds / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return True

    return remux(source, path, later, options={"mpegts_copyts": "1", "avoid_negative_ts": "disabled"})


@pytest.mark.parametrize("later", [0, 5, 3600])
def test_parts_of_a_joined_stream_follow_each_other(tmp_path, later):
    """The clock of the second part starts anew, five seconds ahead or an hour ahead."""
    red, blue = part(tmp_path / "r.ts", RED, 400.0), part(tmp_path / "b.ts", BLUE, 900.0)
    clip = read_clip(joined(tmp_path / "v.ts", red, moved(blue, tmp_path / "m.ts", later) if later else blue), steps=8)
    gap = 1 if later == 5 else 0  # less than ten seconds ahead is a gap of the recording
    assert clip.seconds == pytest.approx(8 + gap, abs=0.15)
    assert clip.notes == (("damaged",) if gap else ("joined",))  # packets may be missing in a gap
    np.testing.assert_array_equal(is_blue(clip), np.arange(8) >= 4)
    assert (loudness(clip)[[0, 1, 2, 5, 6, 7]] > 0.3).all()
    assert pitch(clip.segments[:3]) == pytest.approx(400, abs=3)
    assert pitch(clip.segments[5:]) == pytest.approx(900, abs=3)


def test_three_parts_of_different_length(tmp_path):
    parts = [
        part(tmp_path / f"{i}.ts", (RED, BLUE)[i % 2], 400.0, seconds) for i, seconds in enumerate((3.0, 1.0, 2.0))
    ]
    clip = read_clip(joined(tmp_path / "v.ts", *parts), steps=12)
    assert clip.seconds == pytest.approx(6, abs=0.15)
    np.testing.assert_array_equal(is_blue(clip), (np.arange(12) >= 6) & (np.arange(12) < 8))


def test_program_streams_are_joined_too(tmp_path):
    options = {"codec": "mpeg2video", "audio": "mp2", "fps": 25, "seconds": 4.0}
    parts = [make_video(tmp_path / f"{i}.mpg", picture=plain((RED, BLUE)[i]), **options) for i in range(2)]
    clip = read_clip(joined(tmp_path / "v.mpg", *parts), steps=8)
    assert clip.seconds == pytest.approx(8, abs=0.2)
    np.testing.assert_array_equal(is_blue(clip), np.arange(8) >= 4)


def test_clock_that_wraps_around_is_no_seam(tmp_path):
    """33 bits of 1/90,000 s last 26.5 hours."""
    whole = make_video(tmp_path / "v.ts", seconds=4.0, picture=clock(SIZE, 4.0), codec_options={"g": "10"})
    clip = read_clip(moved(whole, tmp_path / "late.ts", 2**33 / 90000 - 3))
    assert clip.seconds == pytest.approx(4, abs=0.01)
    assert clip.notes == ()
    np.testing.assert_allclose(time_shown(clip.frames, 4.0), middles(4.0, 25), atol=0.15)


@given(
    spans=st.lists(st.tuples(st.integers(2, 40), st.integers(-(10**6), 10**6)), min_size=1, max_size=5),
)
def test_mended_clock_ascends_and_keeps_distances(spans):
    """Parts by clocks of their own, a packet every 40 ms."""
    rows = [(start + 40 * i,) * 2 + (40, i == 0, False, False) for length, start in spans for i in range(length)]
    packets = Packets.of(Fraction(1, 1000), rows)
    before = packets.shown.copy()
    mend([packets])
    times = packets.shown
    steps, former = np.diff(times), np.diff(before)
    expected = np.where((former < -100) | (former > 10_000), 40, former)
    np.testing.assert_array_equal(steps, expected)


def test_packet_with_a_wrong_time_is_no_seam(tmp_path):
    """A bit of both times of one picture is wrong: six and a half hours."""
    path = make_video(tmp_path / "v.ts", seconds=4.0, picture=clock(SIZE, 4.0), audio=None)
    pictures = path.read_bytes().split(b"\x00\x00\x01\xe0")
    wrong = bytearray(pictures[20])
    for place in (5, 10):
        wrong[place] |= 0b0100
    pictures[20] = bytes(wrong)
    path.write_bytes(b"\x00\x00\x01\xe0".join(pictures))
    clip = read_clip(path)
    assert clip.seconds == pytest.approx(4, abs=0.15)
    np.testing.assert_allclose(time_shown(clip.frames, 4.0), middles(4.0, 25), atol=0.2)


# ---- what others reported (docs/maintainers/tried-reports.md)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vp8.webm", {"codec": "libvpx", "audio": "libopus", "rate": 48000, "codec_options": {"g": "12"}}),
        ("palette.avi", {"codec": "rawvideo", "pixels": "rgb8", "audio": None}),
        ("packed.mov", {"codec": "qtrle", "pixels": "rgb24", "audio": None, "codec_options": {"g": "12"}}),
        ("interlaced.ts", {"codec_options": {"x264-params": "tff=1:keyint=12"}}),
        ("b_frames.avi", {"codec_options": {"g": "12", "bf": "3"}, "audio": "pcm_s16le"}),
    ],
)
def test_frames_equal_those_counted_from_the_start(tmp_path, name, options):
    """With 120 steps, the very last frame too, which comes when the decoder is emptied."""
    path = make_video(tmp_path / name, seconds=12.0, picture=clock(SIZE, 12.0), **options)
    everything = in_order(path)
    assert len(everything) == 120
    for steps in (7, 120):
        clip = read_clip(path, steps=steps)
        np.testing.assert_array_equal(clip.frames, everything[((np.arange(steps) + 0.5) / steps * 120).astype(int)])


def test_two_frames_with_one_time(tmp_path):
    """Of these one is shown; the others keep their times."""
    whole = make_video(
        tmp_path / "v.mp4", seconds=4.0, picture=clock(SIZE, 4.0), audio=None, codec_options={"bf": "0", "g": "10"}
    )

    def doubled(packet):
        tenth = round(0.1 / packet.time_base)
        if packet.pts % (5 * tenth) == 3 * tenth:
            packet.pts, packet.dts = packet.pts - tenth, packet.dts - tenth
        return True

    clip = read_clip(remux(whole, tmp_path / "twice.mkv", doubled), steps=20)
    assert clip.seconds == pytest.approx(4, abs=0.01)
    np.testing.assert_allclose(time_shown(clip.frames, 4.0), middles(4.0, 20), atol=0.2)


def test_size_that_changes_in_the_middle(tmp_path):
    """All frames get the size of the first."""
    parts = [
        make_video(
            tmp_path / f"{i}.ts", seconds=2.0, size=size, picture=lambda _, i=i, size=size: bar(size, i), audio=None
        )
        for i, size in enumerate([(64, 48), (128, 96)])
    ]
    clip = read_clip(joined(tmp_path / "v.ts", *parts), steps=4)
    assert clip.frames.shape == (4, 48, 64, 3)
    np.testing.assert_array_equal(is_blue(clip), [False, False, True, True])


def bar(size, blue):
    return np.full((size[1], size[0], 3), BLUE if blue else RED, np.uint8)


@pytest.mark.parametrize("start", [0.513, 100.0])
def test_clock_that_does_not_start_at_zero(tmp_path, start):
    """Sound and pictures stay together."""
    tone = lambda times: tone_of(700.0)(times) * (times >= 2)  # noqa: E731
    whole = make_video(tmp_path / "v.mp4", seconds=4.0, picture=clock(SIZE, 4.0), sound=tone)

    def later(packet):
        ticks = round(start / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return True

    clip = read_clip(remux(whole, tmp_path / "v.mkv", later), steps=8)
    assert clip.seconds == pytest.approx(4, abs=0.01)
    np.testing.assert_allclose(time_shown(clip.frames, 4.0), middles(4.0, 8), atol=0.15)
    np.testing.assert_array_equal(loudness(clip) > 0.2, np.arange(8) >= 4)
