"""Opening untrusted video files: known containers only, with bounds on size, duration and reading time."""

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError, MissingExtraError

_VIDEO = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,apng,mxf,wtv,rm,nut,dv,ivf,obu,h264,hevc,m4v,mpegvideo,vc1,swf"
_AUDIO = "mp3,wav,flac,aac,ac3,aiff"
"""FFmpeg's demuxers that read only the given file. Others open the files that it names (playlists, concatenations), so
an upload could read any file, or interpret text as pictures. Audio formats are allowed for a clear error message."""

_MAX_FRAMES = 2**22

BEST = "best"
"""Leaves the choice of a track to FFmpeg."""


class MediaError(AvnasError):
    """A file that gives no clip: missing, not a video, damaged beyond reading, or beyond the limits.

    Args:
        path: The file.
        reason: The cause, in one line.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = Path(path), reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type["MediaError"], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # worker processes send it


@dataclass(frozen=True)
class Limits:
    """Bounds on what is read from a file, checked before memory is allocated.

    Attributes:
        pixels: Pixels of a stored frame; the default admits 8K (7680 x 4320).
        seconds: Duration of a video; the default is a week.
        time: Seconds that reading may take, or None; checked between packets.
    """

    pixels: int = 2**25
    seconds: float = 7 * 24 * 3600.0
    time: float | None = None


@dataclass(frozen=True)
class Tracks:
    """Which tracks of a file are read. Cover pictures are no video tracks.

    Attributes:
        video: `best`, the number among the video tracks, from 0, or the language in the file's metadata (`eng`). `best`
            is FFmpeg's choice, as its player's: the track flagged as default, then the one with the highest bit rate.
        audio: The same for audio tracks; `best` prefers those of the video's program, and those not for hearing or
            visually impaired people.
    """

    video: str = BEST
    audio: str = BEST


class MediaFile:
    """A video file, opened once for each pass over it.

    Args:
        path: The file.
        limits: Bounds; the reading time starts now.
        tracks: Which of several tracks are read.

    Raises:
        MediaError: The file does not exist or is empty.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: str | Path, limits: Limits, tracks: Tracks | None = None) -> None:
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("av", "extract", "reading video files") from error
        self.path, self.limits, self.tracks = Path(path), limits, tracks or Tracks()
        self._started = time.monotonic()
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise self.error(f"cannot be read: {error.strerror}") from error
        if not self.path.is_file():
            raise self.error("not a file")
        if size == 0:
            raise self.error("an empty file")

    def error(self, reason: str) -> MediaError:
        """An error about this file."""
        return MediaError(self.path, reason)

    def open(self) -> Any:
        """The file as an `av.container.InputContainer`, to be closed by the caller.

        Raises:
            MediaError: FFmpeg cannot read it as a video.
        """
        import av

        options = {
            "format_whitelist": f"{_VIDEO},{_AUDIO}",
            "protocol_whitelist": "file",
            "max_pixels": str(self.limits.pixels),
        }
        name = "file:" + os.fspath(self.path)  # so that a colon in the name is not taken for a protocol
        try:
            return av.open(name, options=options, metadata_errors="replace", timeout=self.limits.time)
        except av.FFmpegError as error:
            self.check()
            if error.errno == errno.EINVAL:  # not in the format whitelist
                raise self.error("not a video, but a still picture, a playlist, a text or the like") from error
            raise self.error(f"not a video, or damaged beyond reading (FFmpeg: {error.strerror})") from error

    def pictures(self, container: Any) -> Any:
        """The container's video stream, ready to decode.

        Raises:
            MediaError: There is none, FFmpeg cannot decode it, or its frames are too large.
        """
        stream = self._choose(container, "video", self.tracks.video)
        if stream is None:
            raise self.error("no video track")
        context = stream.codec_context
        if context is None:
            raise self.error("the codec of its video track is unknown")
        if context.width * context.height > self.limits.pixels:
            raise self.error(
                f"frames of {context.width} x {context.height} pixels are beyond the limit of {self.limits.pixels}"
            )
        self._prepare(context)
        return stream

    def sound(self, container: Any) -> Any:
        """The container's audio stream, ready to decode; None if there is none, or FFmpeg cannot decode it.

        Raises:
            MediaError: The file has audio tracks, but not the wanted one.
        """
        stream = self._choose(container, "audio", self.tracks.audio)
        if stream is None or stream.codec_context is None:
            return None
        self._prepare(stream.codec_context)
        return stream

    def _choose(self, container: Any, kind: str, wanted: str) -> Any:
        streams = _candidates(container, kind)
        if wanted != BEST and streams:
            named = [each for i, each in enumerate(streams) if wanted in (str(i), each.metadata.get("language"))]
            if not named:
                known = ", ".join(f"{i} ({each.metadata.get('language', 'und')})" for i, each in enumerate(streams))
                raise self.error(f"no {kind} track {wanted}; its {kind} tracks: {known}")
            streams = named
        if len(streams) < 2:
            return streams[0] if streams else None
        readable = [each for each in streams if each.codec_context is not None] or streams
        related = None if kind == "video" else self._choose(container, "video", self.tracks.video)
        best = container.streams.best(kind, related=related)
        return next((each for each in readable if best is not None and each.index == best.index), readable[0])

    def chosen_tracks(self, container: Any) -> tuple[str, ...]:
        """Notes on the tracks that are read, of kinds of which the file has several."""
        chosen = {"video": self._choose(container, "video", self.tracks.video), "audio": self.sound(container)}
        return tuple(
            f"{kind}_track_{[each.index for each in streams].index(stream.index)}"
            for kind, stream in chosen.items()
            if stream is not None and len(streams := _candidates(container, kind)) > 1
        )

    def _prepare(self, context: Any) -> None:
        """Limits a decoder to one thread, because videos are read in parallel, and to frames within the limit."""
        context.thread_count = 1
        context.options = {"max_pixels": str(self.limits.pixels)}

    def packets(self, container: Any, *streams: Any) -> Iterator[Any]:
        """The packets of some streams, as far as they can be read.

        Raises:
            FFmpegError: The file ends early.
            MediaError: The time limit is exceeded.
        """
        import av

        packets = container.demux(*streams)
        while True:
            self.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:  # PyAV ends so if a stream appears that the header did not announce
                return
            except av.FFmpegError:
                self.check()  # PyAV's own timeout looks the same
                raise
            if packet.size:
                yield packet

    def check(self, seconds: float = 0.0, frames: int = 0) -> None:
        """Checks the limits against the duration and the number of frames known so far.

        Raises:
            MediaError: A limit is exceeded.
        """
        limits = self.limits
        if limits.time is not None and time.monotonic() - self._started > limits.time:
            raise self.error(f"takes longer than {limits.time:g} s to read")
        if seconds > limits.seconds:
            raise self.error(f"longer than {limits.seconds:g} s")
        if frames > _MAX_FRAMES:
            raise self.error(f"more than {_MAX_FRAMES} frames")


def _candidates(container: Any, kind: str) -> list[Any]:
    """The tracks of a kind, without cover pictures."""
    from av.stream import Disposition

    streams = container.streams.video if kind == "video" else container.streams.audio
    return [each for each in streams if not each.disposition & Disposition.attached_pic]
