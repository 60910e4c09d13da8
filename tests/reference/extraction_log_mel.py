"""Levels of mel bands, straight from the formulas."""

import numpy as np


def mel_levels(samples, bands, rate=16000, lowest=50.0, highest=7600.0, floor=-80.0):
    """Decibels below a full-scale sine, (windows, bands)."""
    length, hop, size = rate // 40, rate // 100, 512
    edges = 700 * (10 ** (np.linspace(mel(lowest), mel(highest), bands + 2) / 2595) - 1)
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / length) for n in range(length)]
    rows = []
    for first in range(0, len(samples) - length + 1, hop):
        row = np.zeros(bands)
        for k in range(size // 2 + 1):
            wave = np.exp(-2j * np.pi * k * np.arange(length) / size)
            power = abs(np.sum(samples[first : first + length] * window * wave) * 2 / sum(window)) ** 2
            frequency = k * rate / size
            for band in range(bands):
                left, middle, right = edges[band : band + 3]
                if left < frequency <= middle:
                    row[band] += power * (frequency - left) / (middle - left)
                elif middle < frequency < right:
                    row[band] += power * (right - frequency) / (right - middle)
        rows.append([max(10 * np.log10(max(power, 1e-300)), floor) for power in row])
    return np.array(rows)


def mel(frequency):
    return 2595 * np.log10(1 + frequency / 700)
