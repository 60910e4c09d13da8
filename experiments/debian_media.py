"""Media of Debian packages: files of a .deb archive, sounds, and mp4 files that are the same again.

Scripts of the experiments find this module beside the folders of the experiments.
"""

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError

Samples = NDArray[np.float32]


def unpack(package: Path, out: Path, root: PurePosixPath, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Writes files of a package: `data.tar` in a Debian package, which is an `ar` archive.

    Args:
        package: The .deb file.
        out: Folder for the files.
        root: Folder in the package that `out` stands for.
        wanted: Which files, by their paths below the root.

    Raises:
        AvnasError: The file is no Debian package, or damaged.
    """
    try:
        with package.open("rb") as file:
            if file.read(8) != b"!<arch>\n":
                raise AvnasError(f"{package}: is no Debian package")
            while not (header := file.read(60)).startswith(b"data.tar"):
                if len(header) < 60:
                    raise AvnasError(f"{package}: ends early; download it again")
                size = int(header[48:58])
                file.seek(size + size % 2, io.SEEK_CUR)
            with tarfile.open(fileobj=file, mode="r|*") as tar:
                for member in tar:
                    name = PurePosixPath(member.name)
                    if not member.isfile() or not name.is_relative_to(root) or ".." in name.parts:
                        continue
                    if wanted(name := name.relative_to(root)):
                        data = tar.extractfile(member)
                        target = out / name
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(data.read() if data else b"")
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise AvnasError(f"{package}: cannot be unpacked: {error}") from error


def read_sound(path: Path, rate: int) -> Samples:
    """Mono samples in [-1, 1] of a sound file, at a rate per second.

    Raises:
        AvnasError: The file cannot be decoded.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    try:
        with av.open(str(path)) as file:
            frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
            frames += resampler.resample(None)
    except av.FFmpegError as error:
        raise AvnasError(f"{path}: cannot be decoded: {error}") from error
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32) / np.float32(32768)


def write_mp4(
    path: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: int, samples: Samples, rate: int
) -> None:
    """H.264 and AAC. What x264 does by default differs in a few pixels from one process to the next."""
    repeatable = {"x264-params": "cpu-independent=1"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        seen: Any = file.add_stream("libx264", rate=fps, options={"preset": "veryfast", **repeatable})
        seen.width, seen.height, seen.pix_fmt, seen.codec_context.thread_count = *size, "yuv420p", 1
        heard: Any = file.add_stream("aac", rate=rate, layout="mono")
        for frame in frames:
            file.mux(seen.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        sound = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        sound.sample_rate = rate
        file.mux(heard.encode(sound))
        for stream in (seen, heard):
            file.mux(stream.encode(None))
