"""Opening video files that nobody vouches for: known containers only, and bounds on size, duration and time."""

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
"""FFmpeg's demuxers that read the one file they are given. Others open what a file names (playlists, concatenations:
a way to read any file through an upload) or take texts for pictures. Those of audio are let in so that the error says
what is missing."""

_MOST_FRAMES = 2**22


class MediaError(AvnasError):
    """A file that gives no clip: not there, no video, damaged beyond reading, or beyond the limits.

    Args:
        path: The file.
        reason: Why, in one line.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = Path(path), reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type["MediaError"], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # worker processes send it


@dataclass(frozen=True)
class Limits:
    """Bounds on what is read from a file, checked before the memory is taken.

    Attributes:
        pixels: Of a frame as stored; the default admits 8K (7680 x 4320).
        seconds: Duration of a video; the default, a week, admits all but nonsense.
        time: Seconds that reading may take, or None; checked between packets.
    """

    pixels: int = 2**25
    seconds: float = 7 * 24 * 3600.0
    time: float | None = None


class MediaFile:
    """A video file, which is opened once for each pass over it.

    Args:
        path: The file.
        limits: Bounds; the time runs from here.

    Raises:
        MediaError: There is no such file, or it is empty.
        MissingExtraError: PyAV is not installed.
    """

    def __init__(self, path: str | Path, limits: Limits) -> None:
        try:
            import av  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("av", "extract", "reading video files") from error
        self.path, self.limits = Path(path), limits
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
            MediaError: It is no video that FFmpeg can read.
        """
        import av

        options = {
            "format_whitelist": f"{_VIDEO},{_AUDIO}",
            "protocol_whitelist": "file",
            "max_pixels": str(self.limits.pixels),
        }
        name = "file:" + os.fspath(self.path)  # a colon in a name is no protocol
        try:
            return av.open(name, options=options, metadata_errors="replace", timeout=self.limits.time)
        except av.FFmpegError as error:
            self.check()
            if error.errno == errno.EINVAL:  # not among the containers
                raise self.error("not a video, but a still picture, a playlist, a text or the like") from error
            raise self.error(f"not a video, or damaged beyond reading (FFmpeg: {error.strerror})") from error

    def pictures(self, container: Any) -> Any:
        """The container's video stream, ready to decode: the first that is no cover picture.

        Raises:
            MediaError: There is none, none that FFmpeg can decode, or its frames are too large.
        """
        from av.stream import Disposition

        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams:
            raise self.error("no video track")
        context = streams[0].codec_context
        if context is None:
            raise self.error("the codec of its video track is unknown")
        if context.width * context.height > self.limits.pixels:
            raise self.error(
                f"frames of {context.width} x {context.height} pixels are beyond the limit of {self.limits.pixels}"
            )
        self.prepare(context)
        return streams[0]

    def prepare(self, context: Any) -> None:
        """Bound a decoder: one thread, as videos are read side by side, and frames within the limit at any time."""
        context.thread_count = 1
        context.options = {"max_pixels": str(self.limits.pixels)}

    def packets(self, container: Any, *streams: Any) -> Iterator[Any]:
        """The packets of some streams, as far as they can be read.

        Args:
            container: An opened file.
            streams: Of the container.

        Raises:
            FFmpegError: The file breaks off.
            MediaError: Time is up.
        """
        import av

        packets = container.demux(*streams)
        while True:
            self.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:  # so PyAV ends a file where a stream has turned up that its beginning did not tell of
                return
            except av.FFmpegError:
                self.check()  # PyAV's own timeout looks the same
                raise
            if packet.size:
                yield packet

    def check(self, seconds: float = 0.0, frames: int = 0) -> None:
        """Look at the bounds.

        Args:
            seconds: Duration of the video, as far as it is known.
            frames: Number of its frames, as far as it is known.

        Raises:
            MediaError: One of them is passed.
        """
        limits = self.limits
        if limits.time is not None and time.monotonic() - self._started > limits.time:
            raise self.error(f"takes longer than {limits.time:g} s to read")
        if seconds > limits.seconds:
            raise self.error(f"longer than {limits.seconds:g} s")
        if frames > _MOST_FRAMES:
            raise self.error(f"more than {_MOST_FRAMES} frames")
