"""What the packets of a track state about their times, and breaks of the clock by which they state it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

_BACKWARD, _FORWARD = 0.1, 10.0
"""Seconds by which a clock may go back, or leap ahead, from packet to packet without a break: FFmpeg's values."""

_OVERLAP = 0.5
"""Seconds of the former part's sound that a new part may cover, so that its pictures follow without a gap."""

_SEAM = 2
"""Packets on each side of a seam that containers mark as corrupt because of it."""

UNKNOWN = int(np.iinfo(np.int64).min)
"""A time that is not stated, or cannot be trusted."""


@dataclass
class Packets:
    """The packets of a track in the order of the file, (n,) each.

    Attributes:
        base: Seconds per tick.
        clock: Decoding times, which ascend within a part; presentation times where there are none; or `UNKNOWN`.
        shown: Presentation times; decoding times where there are none; or `UNKNOWN`.
        durations: 0 if not stated.
        keys: Whether decoding can start here, as the container says.
        dropped: Whether the packet is only needed to decode others, such as those before a cut.
        corrupt: Whether the container marks it so.
    """

    base: Fraction
    clock: Ticks
    shown: Ticks
    durations: Ticks
    keys: NDArray[np.bool_]
    dropped: NDArray[np.bool_]
    corrupt: NDArray[np.bool_]

    @classmethod
    def of(cls, base: Fraction, rows: Sequence[tuple[int, ...]]) -> Self:
        """From what `row` gives of each packet."""
        clock, shown, durations, *flags = np.array(rows, np.int64).reshape(-1, 6).T
        return cls(base, clock, shown, durations, *(flag.astype(bool) for flag in flags))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Whether a packet is shown or heard, and has a time."""
        return np.not_equal(self.shown, UNKNOWN) & ~self.dropped

    def shift(self, ticks: Ticks) -> None:
        """Moves all times by some ticks, or takes them away where these are `UNKNOWN`."""
        for times in (self.clock, self.shown):
            times[:] = np.where((times == UNKNOWN) | (ticks == UNKNOWN), UNKNOWN, times + ticks)


def row(packet: Any) -> tuple[int, ...]:
    """What a packet states, for `Packets.of`."""
    pts, dts = packet.pts, packet.dts
    clock = dts if dts is not None else pts
    shown = pts if pts is not None else dts
    times = (UNKNOWN, UNKNOWN) if shown is None else (clock, shown)
    return (*times, packet.duration or 0, packet.is_keyframe, packet.is_discard, packet.is_corrupt)


def mend(tracks: Sequence[Packets]) -> list[Ticks] | None:
    """Puts the parts of a joined file one after the other: each starts where the former has ended.

    A part starts where the clock of a track goes back, or leaps ahead by more than ten seconds. A single packet with
    another time than its neighbors is no part: its time is taken away.

    Args:
        tracks: The packets of each track, that of the pictures first; their times are mended in place.

    Returns:
        Ticks to add to the times of each packet of each track, or None if there is one part only.
    """
    parts = [_parts(track) for track in tracks]
    if not any(part.any() for part in parts):
        return None
    if len({part.max(initial=0) for part in parts}) > 1:  # the tracks disagree: each goes by itself
        shifts = [_shifts([track], [part])[0] for track, part in zip(tracks, parts, strict=True)]
    else:
        shifts = _shifts(tracks, parts)
    for track, part, shift in zip(tracks, parts, shifts, strict=True):
        for seam in (np.flatnonzero(np.diff(part)) + 1).tolist():
            track.corrupt[max(0, seam - _SEAM) : seam + _SEAM] = False
        track.shift(shift)
    return shifts


def _parts(track: Packets) -> Ticks:
    """Number of the part of each packet, ascending from 0; -1 for a packet with a time of its own."""
    parts = np.zeros(len(track.clock), np.int64)
    known = np.flatnonzero(track.clock != UNKNOWN)
    seconds = track.clock[known] * float(track.base)
    part, last, i = 0, 0, 1
    while i < len(known):
        if _breaks(seconds[last], seconds[i]):
            stray = (
                i + 1 < len(known)
                and _breaks(seconds[i], seconds[i + 1])
                and not _breaks(seconds[last], seconds[i + 1])
            )
            if stray:
                parts[known[i]] = -1
                i += 1
                continue
            part += 1
            parts[known[i] :] = part
        last = i
        i += 1
    return parts


def _breaks(last: float, time: float) -> bool:
    return not last - _BACKWARD <= time <= last + _FORWARD


def _shifts(tracks: Sequence[Packets], parts: Sequence[Ticks]) -> list[Ticks]:
    """Ticks to add to the times of each packet; `UNKNOWN` for those of no part."""
    shifts = [np.full(len(part), UNKNOWN, np.int64) for part in parts]
    former: dict[int, Fraction] = {}
    for number in range(max(int(part.max(initial=0)) for part in parts) + 1):
        spans = {i: _span(track, part == number) for i, (track, part) in enumerate(zip(tracks, parts, strict=True))}
        known = {i: span for i, span in spans.items() if span is not None}
        if not known:
            continue
        if common := sorted(former.keys() & known.keys()):
            needed = [former[i] - known[i][0] for i in common]
            shift = needed[0] if max(needed) - needed[0] <= _OVERLAP else max(needed)
        else:
            shift = max(former.values()) - min(start for start, _ in known.values()) if former else Fraction(0)
        former |= {i: end + shift for i, (_, end) in known.items()}
        for track, part, own in zip(tracks, parts, shifts, strict=True):
            own[part == number] = round(shift / track.base)
    return shifts


def _span(track: Packets, inside: NDArray[np.bool_]) -> tuple[Fraction, Fraction] | None:
    """Start and end of some packets in seconds; None without a time."""
    known = inside & (track.shown != UNKNOWN)
    if not known.any():
        return None
    start, end = track.shown[known].min(), (track.shown + track.durations)[known].max()
    return int(start) * track.base, int(end) * track.base
