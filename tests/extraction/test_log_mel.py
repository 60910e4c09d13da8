import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import LogMel
from reference.extraction_log_mel import mel_levels

RATE = 16000


def tone(frequency, loudness=0.5, samples=4000):
    return (loudness * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE)).astype(np.float32)[None]


def means(segments):
    return LogMel()(segments)[:, :64]


def test_levels_follow_the_formulas():
    random = np.random.default_rng(0)
    samples = (0.1 * random.standard_normal(1000)).astype(np.float32) + tone(1000, samples=1000)[0]
    found = LogMel(bands=20).levels(torch.from_numpy(samples))
    np.testing.assert_allclose(found, mel_levels(samples, bands=20), atol=1e-3)


def test_levels_equal_those_of_transformers():
    audio_utils = pytest.importorskip("transformers.audio_utils")
    samples = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    bank = audio_utils.mel_filter_bank(257, 64, 50.0, 7600.0, RATE)
    window = audio_utils.window_function(400)
    options = {"power": 2.0, "center": False, "mel_filters": bank, "log_mel": "dB", "mel_floor": 1e-8}
    theirs = audio_utils.spectrogram(samples, window * 2 / window.sum(), 400, 160, 512, **options)
    np.testing.assert_allclose(LogMel().levels(torch.from_numpy(samples)), theirs.T, atol=1e-3)


def test_scales_of_means_and_deviations():
    segments = np.concatenate([tone(440), tone(440, 0.1)])
    levels = np.stack([mel_levels(segment[:1000], 64) for segment in segments])
    expected = np.concatenate([levels.mean(1) / 40 + 1, levels.std(1) / 20], 1)
    np.testing.assert_allclose(LogMel()(segments[:, :1000]), expected, atol=1e-3)


def test_higher_pitch_is_in_a_higher_band():
    bands = [int(means(tone(frequency)).argmax()) for frequency in (110, 220, 440, 880, 1760, 3520, 7040)]
    assert bands == sorted(set(bands))


def test_full_scale_sine_has_0_decibels():
    assert 40 * (means(tone(1000, 1.0)).max() - 1) == pytest.approx(0, abs=3)


def test_half_amplitude_is_6_decibels_less():
    loud, soft = means(tone(440)), means(tone(440, 0.25))
    heard = soft > -0.9
    np.testing.assert_allclose((loud - soft)[heard] * 40, 6.02, atol=0.05)


def test_silence_has_the_lowest_level_and_no_deviation():
    vectors = LogMel()(np.zeros((2, 500), np.float32))
    np.testing.assert_array_equal(vectors, np.repeat([-1.0, 0.0], 64)[None].repeat(2, 0))


def test_changing_sound_has_a_deviation():
    steady = tone(440, samples=8000)
    pulses = steady * (np.arange(8000) // 1000 % 2)
    assert LogMel()(pulses.astype(np.float32))[0, 64:].max() > 5 * LogMel()(steady)[0, 64:].max()


@settings(max_examples=30)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 1500)), elements=st.floats(-1, 1, width=32)))
def test_values_are_bounded_and_independent_of_other_segments(segments):
    vectors = LogMel()(segments)
    assert vectors.shape == (len(segments), 128)
    assert vectors.dtype == np.float32
    assert np.all((vectors >= -1) & (vectors <= 3))
    np.testing.assert_array_equal(vectors[-1:], LogMel()(segments[-1:]))


@pytest.mark.parametrize("bands", [1, 64, 80])
def test_every_band_responds_to_noise(bands):
    noise = np.random.default_rng(0).uniform(-1, 1, (1, RATE)).astype(np.float32)
    extractor = LogMel(**LogMel(bands).arguments())
    vectors = extractor(noise)
    assert vectors.shape == (1, extractor.dim) == (1, 2 * bands)
    assert vectors[0, :bands].min() > 0


@pytest.mark.parametrize("bands", [0, 81])
def test_invalid_number_of_bands_is_rejected(bands):
    with pytest.raises(AvnasError, match=f"bands={bands} must be between 1 and 80"):
        LogMel(bands)
