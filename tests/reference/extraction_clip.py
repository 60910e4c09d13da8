"""Frames and segments of a video by decoding all of it first."""

import av
import numpy as np


def chosen_frames(path, steps):
    """Times of all frames in seconds, duration, and the frames on show in the middles of equal parts."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = np.array([float(frame.pts * frame.time_base) for frame in frames])
        pictures = [frame.to_ndarray(format="rgb24", interpolation="BICUBIC") for frame in frames]
    seconds = times[-1] - times[0] + np.median(np.diff(times))
    chosen = []
    for step in range(steps):
        middle = times[0] + seconds * (step + 0.5) / steps
        chosen.append(max(i for i in range(len(times)) if times[i] <= middle + 1e-6))
    return np.stack([pictures[i] for i in chosen]), times[0], seconds


def whole_sound(path, start, seconds, rate):
    """All samples at the wanted rate from `start` on, mono, zeros where there are none."""
    samples = np.zeros(round(seconds * rate), np.float32)
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        first = float(frames[0].pts * frames[0].time_base) - start
        resampler = av.AudioResampler("s16", "mono", rate)
        parts = [part.to_ndarray()[0] for frame in [*frames, None] for part in resampler.resample(frame)]
    sound = np.concatenate(parts).astype(np.float32) / 32768
    position = round(first * rate)
    sound = sound[max(0, -position) :][: len(samples) - max(0, position)]
    samples[max(0, position) :][: len(sound)] = sound
    return samples
