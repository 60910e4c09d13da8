"""Valid files of kinds that readers get wrong, made by moving packets from file to file."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from media.make import Picture, frame_times, video_frames

VOP = b"\x00\x00\x01\xb6"
"""Start code of a picture in MPEG-4 part 2; the two bits behind it are its type."""

PACKED = b"\x00\x00\x01\xb2DivX503b1393p"
"""User data by which XviD tells that packets may hold two pictures."""


def packed_xvid(path: Path, seconds: float, fps: int, size: tuple[int, int], picture: Picture, *, keys: int) -> Path:
    """XviD with B-frames in AVI: packets of `P B`, `B` and a picture of six bytes that is "not coded".

    Behind `I B`, the latter is of type I too, so FFmpeg's demuxer takes it for a key frame.

    Args:
        path: The file.
        seconds: Duration.
        fps: Frames a second; below 32, as the header is made of five bits for a time.
        size: Width and height.
        picture: The pictures.
        keys: Frames from key frame to key frame.
    """
    options = {"bf": "2", "g": str(keys), "b_strategy": "0", "sc_threshold": "1000000000", "qscale": "3"}
    with av.open(str(path), "w", options={"flush_packets": "1"}) as container:
        stream: Any = container.add_stream("mpeg4", rate=fps, options={**options, "flags": "+qscale"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        pictures = [
            bytes(packet)
            for _, frame in video_frames(frame_times(seconds, fps), picture, stream)
            for packet in stream.encode(frame)
        ]
        pictures += [bytes(packet) for packet in stream.encode(None)]
        for i, (data, key) in enumerate(_packed(pictures)):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, i, i, key
            container.mux_one(packet)
    return path


def _packed(pictures: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    kind = lambda data: "IPB"[data[data.index(VOP) + 4] >> 6]  # noqa: E731
    start = pictures[0].index(VOP)
    pictures = [pictures[0][:start] + PACKED + pictures[0][start:], *pictures[1:]]
    i = 0
    while i < len(pictures):
        own, group = pictures[i], 1
        while i + group < len(pictures) and kind(pictures[i + group]) == "B":
            group += 1
        key = kind(own) == "I"
        if group == 1:
            yield own, key
        else:
            yield own + pictures[i + 1], key
            yield from ((each, False) for each in pictures[i + 2 : i + group])
            yield VOP + bytes([0b00010000 if key else 0b01010000, 0b01001111]), False
        i += group


def remux(
    source: Path,
    path: Path,
    change: Callable[[Any], bool] = lambda packet: True,
    video_filter: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Copies the packets of a file to another one.

    Args:
        source: The file to copy.
        path: The new file.
        change: Changes a packet, and tells whether to keep it.
        video_filter: A bitstream filter for the video packets.
        options: Of the new container.
    """
    with av.open(str(source)) as old, av.open(str(path), "w", options=options or {}) as new:
        streams = {each.index: new.add_stream_from_template(each) for each in old.streams}
        video = old.streams.video[0]
        through = BitStreamFilterContext(video_filter, video) if video_filter else None
        for packet in old.demux():
            if packet.size and not change(packet):
                continue
            stream = packet.stream
            passed = [packet] if packet.size else []
            if through is not None and stream is video:
                passed = through.filter(packet if packet.size else None)
            for each in passed:
                each.stream = streams[stream.index]
                new.mux_one(each)
    return path


def trimmed(source: Path, path: Path, seconds: float) -> Path:
    """Cuts the beginning without encoding: packets before the cut stay, as later ones need them, and are not shown."""

    def earlier(packet: Any) -> bool:
        ticks = round(seconds / packet.time_base)
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
        return True

    return remux(source, path, earlier)


def gathered(path: Path, tracks: Sequence[tuple[Path, str, bool, str]]) -> Path:
    """A file with a track of each of several files.

    Args:
        path: The new file.
        tracks: Of each track the file that holds it, `video` or `audio`, whether it is flagged as default, and its
            language.
    """
    with av.open(str(path), "w") as new:
        copies = []
        for source, kind, default, language in tracks:
            old = av.open(str(source))
            stream = getattr(old.streams, kind)[0]
            copy = new.add_stream_from_template(stream)
            copy.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
            copy.metadata["language"] = language
            copies.append((old, stream, copy))
        for old, stream, copy in copies:
            for packet in old.demux(stream):
                if packet.size:
                    packet.stream = copy
                    new.mux_one(packet)
            old.close()
    return path
