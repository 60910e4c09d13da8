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


class MediaFile:
    """A video file, opened once for each pass over it.

    Args:
        path: The file.
        limits: Bounds; the reading time starts now.

    Raises:
        MediaError: The file does not exist or is empty.
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
        """The container's first video stream that is not a cover picture, ready to decode.

        Raises:
            MediaError: There is none, FFmpeg cannot decode it, or its frames are too large.
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
