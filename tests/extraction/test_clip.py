"""What is seen and heard of real video files, whatever they are packed in."""

import math
from fractions import Fraction

import numpy as np
import pytest

from avhash_nas.extraction import read_clip
from media.make import clock, make_video, time_shown, tone_of
from reference.extraction_clip import chosen_frames, whole_sound

SIZE = (64, 48)
QUIET = {"x265-params": "log-level=0"}
KINDS = {
    "h264.mp4": {},
    "h265.mp4": {"codec": "libx265", "codec_options": QUIET},
    "fragmented.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}},
    "pcm.mov": {"audio": "pcm_s16le"},
    "vp9.webm": {"codec": "libvpx-vp9", "audio": "libopus", "rate": 48000},
    "mpeg4.avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "mjpeg.mkv": {"codec": "mjpeg", "pixels": "yuvj420p", "audio": "flac"},
    "stream.ts": {},
    "program.mpg": {"codec": "mpeg2video", "audio": "mp2", "fps": 25},
    "sorenson.flv": {"codec": "flv1", "audio": "libmp3lame"},
    "theirs.ogv": {"codec": "libvpx", "audio": "flac", "container_format": "ogg"},
}
FOUR = np.zeros((48, 64, 3), np.uint8)
FOUR[:24, :32], FOUR[:24, 32:], FOUR[24:, :32], FOUR[24:, 32:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def middles(seconds, steps=25):
    return (np.arange(steps) + 0.5) / steps * seconds


def loud(clip):
    """Which segments hold sound in at least half of their samples' time."""
    return np.sqrt((clip.segments**2).mean(1)) > 0.25


def pitch(segments, rate=16000):
    sound = segments.reshape(-1)
    return np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * rate / len(sound)


def chirp(times):
    """A pitch that rises from 100 Hz by 10 Hz each second: no stretch sounds like another one."""
    return 0.5 * np.sin(2 * np.pi * (100 * times + 5 * times**2))


def corners(picture):
    """Colors in the middles of the quarters."""
    height, width = picture.shape[:2]
    return picture[np.ix_([height // 4, 3 * height // 4], [width // 4, 3 * width // 4])].astype(int)


@pytest.mark.parametrize("name", KINDS)
def test_frames_and_sound_from_every_container(tmp_path, name):
    path = make_video(tmp_path / name, **({"seconds": 3.0, "picture": clock(SIZE, 3.0), "tone": 700.0} | KINDS[name]))
    clip = read_clip(path)
    assert clip.frames.shape == (25, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.seconds == pytest.approx(3, abs=0.11)  # an AVI tells a frame more
    assert clip.segments.shape == (25, int(clip.seconds / 25 * 16000))
    assert clip.segments.dtype == np.float32
    assert clip.notes == ()
    off = time_shown(clip.frames, 3.0) - middles(clip.seconds)
    assert np.all((off > -0.25) & (off < 0.05))  # a frame lasts 0.1 s, and may be coded a little darker or lighter
    assert loud(clip)[:24].all()
    assert pitch(clip.segments) == pytest.approx(700, abs=2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("long.mp4", {"codec_options": {"g": "12"}}),
        ("one_key.mp4", {"codec_options": {"g": "9999"}}),
        ("open.mkv", {"codec_options": {"g": "12", "x264-params": "open-gop=1"}, "variable_rate": True}),
        ("all_keys.avi", {"codec": "mjpeg", "pixels": "yuvj420p", "audio": "pcm_s16le"}),
        ("vp9.webm", {"codec": "libvpx-vp9", "audio": "libopus", "codec_options": {"g": "12"}}),
        ("packets.ts", {"codec_options": {"g": "12"}}),
        ("program.mpg", {"codec": "mpeg2video", "audio": "mp2", "fps": 25}),  # open groups of pictures
        ("open265.mp4", {"codec": "libx265", "codec_options": {"x265-params": "log-level=0:keyint=12:open-gop=1"}}),
        ("b_frames.avi", {"codec": "mpeg4", "audio": "libmp3lame", "codec_options": {"g": "12", "bf": "2"}}),
        # no key frames but a column of each picture, so decoding settles only after a while
        ("refreshed.mp4", {"codec_options": {"x264-params": "keyint=12:intra-refresh=1"}}),
    ],
)
def test_jumping_equals_full_decoding(tmp_path, name, options):
    common = {"picture": clock(SIZE, 18.0), "sound": chirp, "rate": 16000, "seconds": 18.0}
    path = make_video(tmp_path / name, **(common | options))
    for steps in (3, 25):
        clip = read_clip(path, steps=steps, longest_segment=0.25)
        frames, start, seconds = chosen_frames(path, steps)
        assert clip.seconds == pytest.approx(seconds, abs=0.11)
        np.testing.assert_array_equal(clip.frames, frames)
        sound = whole_sound(path, start, seconds, 16000)
        assert clip.segments.shape == (steps, 4000)
        for middle, segment in zip(middles(seconds, steps) * 16000, clip.segments, strict=True):
            # some containers tell times in ms, which are 16 samples; and starting elsewhere moves by part of a sample
            near = [sound[round(middle) - 2000 + shift :][:4000] for shift in range(-17, 18)]
            assert min(np.abs(segment - each).max() for each in near) < 0.06


def test_uniform_in_time_with_variable_frame_rate(tmp_path):
    path = make_video(tmp_path / "v.mp4", seconds=8.0, picture=clock(SIZE, 8.0), variable_rate=True, fps=20)
    shown = time_shown(read_clip(path, steps=16).frames, 8.0)
    np.testing.assert_allclose(np.diff(shown), 0.5, atol=0.2)  # by numbers of frames, steps would be of 0.31 and 1.25


def test_fewer_frames_than_steps_are_repeated_in_order(tmp_path):
    clip = read_clip(make_video(tmp_path / "v.mp4", seconds=1.0, fps=5, picture=clock(SIZE, 1.0)))
    shown = time_shown(clip.frames, 1.0)
    assert "short" in clip.notes
    np.testing.assert_allclose(shown, np.repeat([0.0, 0.2, 0.4, 0.6, 0.8], 5), atol=0.02)


def test_single_frame(tmp_path):
    clip = read_clip(make_video(tmp_path / "v.mkv", seconds=0.1, audio=None, picture=lambda _: FOUR))
    assert clip.frames.shape == (25, 48, 64, 3)
    assert clip.seconds == pytest.approx(0.1)
    assert (clip.frames == clip.frames[:1]).all()


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_animations_without_sound(tmp_path, name):
    kinds = {"a.gif": {"codec": "gif", "pixels": "rgb8"}, "a.png": {"codec": "apng", "pixels": "rgba"}}
    options = kinds[name] | {"audio": None, "picture": clock(SIZE, 3.0), "seconds": 3.0}
    clip = read_clip(make_video(tmp_path / name, container_format=kinds[name]["codec"], **options))
    assert clip.notes == ("no_audio",)
    assert not clip.segments.any()
    assert clip.segments.shape == (25, 1920)
    np.testing.assert_allclose(time_shown(clip.frames, 3.0), middles(3.0), atol=0.6)  # 8 shades of gray


def test_stream_without_timestamps(tmp_path):
    """Raw H.264 has neither times nor duration nor index: frames are counted."""
    clip = read_clip(make_video(tmp_path / "v.h264", seconds=3.0, audio=None, picture=clock(SIZE, 3.0)))
    np.testing.assert_allclose(time_shown(clip.frames, 3.0), middles(3.0), atol=0.15)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_upright(tmp_path, rotation):
    path = make_video(tmp_path / "v.mp4", seconds=0.5, rotation=rotation, picture=lambda _: FOUR)
    frame = read_clip(path).frames[0]
    turned = np.rot90(FOUR, rotation // 90)
    assert frame.shape == turned.shape
    np.testing.assert_allclose(corners(frame), corners(turned), atol=4)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((65, 49), (49, 65)),
        ((1, 1), (1, 1)),
        ((1280, 720), (512, 910)),  # the short side is scaled to 512
        ((4000, 8), (4, 2048)),  # the long one to four times that
    ],
)
def test_sizes(tmp_path, size, shape):
    path = make_video(tmp_path / "v.mkv", codec="ffv1", pixels="bgra", size=size, seconds=0.1)
    assert read_clip(path).frames.shape == (25, *shape, 3)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [(Fraction(4, 3), (48, 85)), (Fraction(1, 2), (96, 64)), (Fraction(100), (48, 64))],  # the last is a mistake
)
def test_non_square_pixels_are_stretched(tmp_path, aspect, shape):
    path = make_video(tmp_path / "v.mp4", aspect=aspect, seconds=0.5)
    assert read_clip(path).frames.shape == (25, *shape, 3)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("v.mp4", "libx264", "yuv420p"),
        ("v.mkv", "mjpeg", "yuvj420p"),
        ("v.mkv", "libx264", "yuv420p10le"),
        ("v.mkv", "ffv1", "rgb48le"),
        ("v.mov", "prores_ks", "yuv422p10le"),
        ("v.mov", "png", "rgba64be"),
        ("v.gif", "gif", "rgb8"),
    ],
)
def test_colors_of_every_pixel_format(tmp_path, name, codec, pixels):
    path = make_video(tmp_path / name, codec=codec, pixels=pixels, audio=None, seconds=0.3, picture=lambda _: FOUR)
    np.testing.assert_allclose(corners(read_clip(path).frames[0]), corners(FOUR), atol=4)


def test_grey_frames_are_grey(tmp_path):
    path = make_video(tmp_path / "v.mkv", codec="ffv1", pixels="gray10le", seconds=0.3, picture=lambda _: FOUR)
    red, green = corners(read_clip(path).frames[0])[0]
    np.testing.assert_allclose(red, 0.299 * 255, atol=2)
    np.testing.assert_allclose(green, 0.587 * 255, atol=2)


def test_transparent_areas_are_white(tmp_path):
    half = np.concatenate([FOUR, np.full((48, 64, 1), 255, np.uint8)], 2)
    half[:24, :, 3] = 0
    half[24:, :32, 3] = 51
    path = make_video(tmp_path / "v.mkv", codec="ffv1", pixels="bgra", seconds=0.3, picture=lambda _: half)
    found = corners(read_clip(path).frames[0])
    np.testing.assert_array_equal(found[0], np.full((2, 3), 255))
    np.testing.assert_allclose(found[1], [(204, 204, 255), (255, 255, 255)], atol=1)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("audio", ["pcm_s16le", "pcm_f32le", "aac"])
def test_mono_keeps_the_loudness_of_several_channels(tmp_path, channels, audio):
    path = make_video(tmp_path / "v.mkv", audio=audio, channels=channels, tone=300.0)
    assert np.sqrt((read_clip(path).segments[3:22] ** 2).mean()) == pytest.approx(0.5 / math.sqrt(2), rel=0.02)


def test_mono_is_the_mean_of_two_channels(tmp_path):
    left = tone_of(300.0, 0.8)
    path = make_video(
        tmp_path / "v.mkv", audio="flac", channels=2, sound=lambda times: np.stack([left(times), 0 * times])
    )
    assert np.sqrt((read_clip(path).segments[3:22] ** 2).mean()) == pytest.approx(0.4 / math.sqrt(2), rel=0.01)


@pytest.mark.parametrize(
    ("start", "seconds", "first", "last"), [(0.5, 0.5, 6, 13), (0, 1, 0, 13), (0, 2.4, 0, 25), (1.5, 0.9, 19, 25)]
)
@pytest.mark.parametrize("name", ["v.mkv", "v.mp4"])
def test_sound_keeps_its_position_in_time(tmp_path, name, start, seconds, first, last):
    audio = {"v.mkv": "pcm_s16le", "v.mp4": "aac"}[name]
    path = make_video(tmp_path / name, audio=audio, audio_start=start, audio_seconds=seconds)
    clip = read_clip(path)
    assert clip.seconds == pytest.approx(2)
    expected = (np.arange(25) >= first) & (np.arange(25) < last)
    different = np.flatnonzero(loud(clip) != expected)
    assert set(different) <= {first - 1, first, last - 1, last}  # segments that hold the start or the end
    assert len(different) <= 2


def test_long_parts_use_their_middle(tmp_path):
    """Five parts of 2 s; the tone sounds for half a second around each middle."""
    middle = lambda times: tone_of(300.0)(times) * (np.abs(times % 2 - 1) < 0.25)  # noqa: E731
    path = make_video(tmp_path / "v.mp4", seconds=10.0, sound=middle)
    clip = read_clip(path, steps=5, longest_segment=0.4)
    assert clip.segments.shape == (5, 6400)
    np.testing.assert_allclose(np.sqrt((clip.segments**2).mean(1)), 0.5 / math.sqrt(2), rtol=0.05)


@pytest.mark.parametrize("name", ["zażółć 视频.mp4", "with: colon.mp4", "%03d.mp4", "concat:a|b.mp4", "-v.mp4"])
def test_special_characters_in_file_names(tmp_path, name):
    assert read_clip(make_video(tmp_path / "v.mp4").rename(tmp_path / name)).seconds == pytest.approx(2)
