"""Files that are damaged, lie, or are no videos: used as far as they go, or refused in one line."""

import pickle
import shutil
import struct
import sys

import numpy as np
import pytest

from avhash_nas.errors import MissingExtraError
from avhash_nas.extraction import Limits, MediaError, read_clip
from avhash_nas.extraction.media_file import MediaFile
from avhash_nas.extraction.timeline import read_timeline
from avhash_nas.extraction.track import Track
from media.make import claim_size, clock, cut, make_video, patch, scribble, time_shown

SIZE = (64, 48)
KINDS = {
    "index_first.mp4": {"options": {"movflags": "faststart"}},
    "fragmented.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "a.avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "a.ts": {},
    "a.gif": {"codec": "gif", "pixels": "rgb8", "audio": None},
}


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """Ten seconds of a clock in each container."""
    folder = tmp_path_factory.mktemp("whole")
    common = {"seconds": 10.0, "picture": clock(SIZE, 10.0), "codec_options": {"g": "10"}, "rate": 16000}
    return {name: make_video(folder / name, **(common | options)) for name, options in KINDS.items()}


@pytest.fixture
def copy_of(whole_files, tmp_path):
    return lambda name: shutil.copy(whole_files[name], tmp_path / name)


@pytest.mark.parametrize("name", KINDS)
def test_truncated_file_yields_its_content(copy_of, name):
    clip = read_clip(cut(copy_of(name), 0.52))
    assert 4 < clip.seconds < 7
    middles = (np.arange(25) + 0.5) / 25 * clip.seconds
    tolerance = 0.4 if name.endswith("gif") else 0.3  # eight shades of gray; damage at the very end
    assert np.mean(np.abs(time_shown(clip.frames, 10.0) - middles)) < tolerance
    if not name.endswith(("ts", "gif")):  # nothing there tells how much there was
        assert {"truncated", "damaged"} & set(clip.notes)


@pytest.mark.parametrize("name", ["index_first.mp4", "a.mkv", "a.ts"])
def test_damaged_section_leaves_other_times_unchanged(copy_of, name):
    """The nearest good frame stands in for a lost one, and lost sound is silence."""
    clip = read_clip(scribble(copy_of(name), 0.4, 0.6))
    assert "damaged" in clip.notes
    assert clip.seconds == pytest.approx(10, abs=0.1)
    shown = time_shown(clip.frames, 10.0)
    middles = (np.arange(25) + 0.5) / 25 * 10
    outside = (middles < 3) | (middles > 7.5)
    np.testing.assert_allclose(shown[outside], middles[outside], atol=0.25)
    assert np.all(np.diff(shown) > -0.2)
    loud = np.sqrt((clip.segments**2).mean(1))
    assert loud[12] < 0.1
    np.testing.assert_allclose(loud[outside], 0.354, atol=0.02)


def test_header_with_too_long_duration(tmp_path):
    """The duration of a Matroska file, in ms behind its mark, says 100 s; the packets say 2 s."""
    path = make_video(tmp_path / "v.mkv", picture=clock(SIZE, 2.0))
    clip = read_clip(patch(path, b"\x44\x89\x88", 3, struct.pack(">d", 100_000.0)))
    assert clip.seconds == pytest.approx(2)
    assert "truncated" in clip.notes
    np.testing.assert_allclose(time_shown(clip.frames, 2.0), (np.arange(25) + 0.5) / 25 * 2, atol=0.15)


def test_header_with_too_short_duration(tmp_path):
    path = make_video(tmp_path / "v.mkv", seconds=3.0, picture=clock(SIZE, 3.0))
    clip = read_clip(patch(path, b"\x44\x89\x88", 3, struct.pack(">d", 500.0)))
    assert clip.seconds == pytest.approx(3)
    assert clip.notes == ()


def test_sound_missing_from_the_header(tmp_path):
    """FLV: the fifth byte says which streams there are; the sound turns up after the beginning that is probed."""
    options = {"codec": "flv1", "audio": "libmp3lame", "seconds": 20.0, "audio_start": 15.0, "audio_seconds": 5.0}
    clip = read_clip(patch(make_video(tmp_path / "v.flv", **options), b"FLV", 4, b"\x01"))
    assert clip.seconds == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("name", [*KINDS, "program.mpg"])
def test_jump_never_skips_too_far(whole_files, tmp_path, name):
    """A container with neither index nor times at every frame, such as MPEG-1, may land anywhere."""
    path = whole_files.get(name) or make_video(tmp_path / name, codec="mpeg2video", audio="mp2", fps=25, seconds=10.0)
    file = MediaFile(path, Limits())
    timeline = read_timeline(file)
    for key in timeline.keys[1::4].tolist():
        track = Track(file, file.pictures)
        track.jump(key, key)
        times = [track.next()[0]]
        assert times[0] <= key
        while times[-1] < key:
            times.append(track.next()[0])
        assert times[-1] == key
        if name in ("index_first.mp4", "a.mkv"):
            assert len(times) == 1
        track.close()


def test_no_audio_track(tmp_path):
    clip = read_clip(make_video(tmp_path / "v.mp4", seconds=3.0, audio=None))
    assert clip.notes == ("no_audio",)
    assert clip.segments.shape == (25, 1920)
    assert not clip.segments.any()


def sound_only(path):
    return make_video(path, codec=None)


def index_lost(path):
    return cut(make_video(path), 0.5)


def text(path):
    path.write_text("This is not a video.\n" * 50)


def ansi_art(path):
    """FFmpeg takes `.txt` for pictures made of letters."""
    text(path.with_suffix(".txt"))


def still(path):
    make_video(path, codec="mjpeg", pixels="yuvj420p", audio=None, seconds=0.1, container_format="image2")


def playlist(path):
    """Players open what it names: any file of the machine, or an address."""
    make_video(path.with_name("other.mp4"))
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2.0,\nother.mp4\n#EXT-X-ENDLIST\n")


def joined(path):
    make_video(path.with_name("other.mp4"))
    path.write_text("ffconcat version 1.0\nfile 'other.mp4'\n")


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("v.mp4", lambda path: None, "cannot be read: No such file"),
        ("v.mp4", lambda path: path.mkdir(), "not a file"),
        ("v.mp4", lambda path: path.touch(), "an empty file"),
        ("v.mp4", text, "not a video, or damaged beyond reading"),
        ("v.txt", ansi_art, "not a video, but"),
        ("v.m4a", sound_only, "no video track"),
        ("v.mp3", lambda path: make_video(path, codec=None, audio="libmp3lame"), "no video track"),
        ("v.jpg", still, "not a video, but a still picture"),
        ("v.mp4", index_lost, "not a video, or damaged beyond reading"),
        ("v.mp4", playlist, "not a video"),
        ("v.m3u8", playlist, "not a video"),
        ("v.mp4", joined, "not a video"),
        (
            "v.gif",
            lambda path: cut(make_video(path, codec="gif", pixels="rgb8", audio=None), 0.01),
            "nothing of its video",
        ),
    ],
)
def test_non_video_files_are_rejected_in_one_line(tmp_path, name, make, reason):
    path = tmp_path / name
    make(path)
    with pytest.raises(MediaError, match=reason) as caught:
        read_clip(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # workers send it


def test_cover_picture_does_not_count_as_video(tmp_path):
    """Music with a picture of the album."""
    import av

    make_video(
        tmp_path / "cover.jpg", codec="mjpeg", pixels="yuvj420p", audio=None, seconds=0.1, container_format="image2"
    )
    make_video(tmp_path / "sound.mp3", codec=None, audio="libmp3lame")
    with av.open(str(tmp_path / "song.mp3"), "w") as song, av.open(str(tmp_path / "sound.mp3")) as sound:
        heard = song.add_stream_from_template(sound.streams.audio[0])
        cover = song.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        for packet in sound.demux():
            if packet.size:
                packet.stream = heard
                song.mux(packet)
        song.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        song.mux(cover.encode(None))
    with pytest.raises(MediaError, match="no video track"):
        read_clip(tmp_path / "song.mp3")


def test_frames_beyond_the_pixel_limit_are_not_decoded(tmp_path):
    """A few hundred bytes that claim 65,535 x 65,535 pixels: 17 GB a frame."""
    bomb = claim_size(make_video(tmp_path / "v.gif", codec="gif", pixels="rgb8", audio=None, seconds=0.5), 65535, 65535)
    with pytest.raises(MediaError, match="pixels"):
        read_clip(bomb)
    video = make_video(tmp_path / "v.mp4", size=(320, 240), seconds=0.5)
    with pytest.raises(MediaError, match="frames of 320 x 240 pixels are beyond the limit of 76799"):
        read_clip(video, limits=Limits(pixels=320 * 240 - 1))
    assert read_clip(video, limits=Limits(pixels=320 * 240)).frames.shape[1:3] == (240, 320)


def test_duration_and_reading_time_are_bounded(tmp_path):
    video = make_video(tmp_path / "v.mp4", seconds=3.0)
    with pytest.raises(MediaError, match=r"longer than 2\.5 s"):
        read_clip(video, limits=Limits(seconds=2.5))
    with pytest.raises(MediaError, match="takes longer than 0 s to read"):
        read_clip(video, limits=Limits(time=0))
    assert read_clip(video, limits=Limits(seconds=3.5, time=60)).notes == ()


@pytest.mark.parametrize("seed", range(30))
def test_random_damage_gives_a_clip_or_an_error(whole_files, tmp_path, seed):
    random = np.random.default_rng(seed)
    name = list(KINDS)[seed % len(KINDS)]
    data = bytearray(whole_files[name].read_bytes())
    for place in random.integers(0, random.choice([600, len(data)]), random.integers(1, 20)):
        data[place] = random.choice([0, 127, 255, random.integers(256)])
    path = tmp_path / name
    path.write_bytes(bytes(data))
    try:
        clip = read_clip(path, steps=5, limits=Limits(pixels=2**20, time=10))
    except MediaError:
        return
    assert clip.frames.shape[0] == clip.segments.shape[0] == 5
    assert np.abs(clip.segments).max() <= 1


def test_missing_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"reading video files needs av: pip install 'avhash-nas\[extract\]'"):
        read_clip(tmp_path / "v.mp4")
