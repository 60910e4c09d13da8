import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.extraction.sound import Segments


@given(
    seconds=st.floats(0.01, 3),
    steps=st.integers(1, 30),
    longest=st.floats(0.005, 1),
    cuts=st.lists(st.integers(-50, 400), min_size=1, max_size=8),
)
def test_segments_are_filled_from_any_pieces(seconds, steps, longest, cuts):
    """Whatever parts the sound comes in, each sample lands where its position says, and nothing else does."""
    rate = 100
    sound = np.arange(1, 452, dtype=np.float32)  # the sample at position p is p + 51
    segments = Segments(seconds, steps, rate, longest)
    for first, last in zip(sorted(cuts)[:-1], sorted(cuts)[1:], strict=True):
        segments.put(first, sound[first + 50 : last + 50])
    for start, row in zip(segments.starts.tolist(), segments.samples, strict=True):
        positions = np.arange(start, start + segments.length)
        known = (positions >= min(cuts)) & (positions < max(cuts))
        np.testing.assert_array_equal(row, np.where(known, positions + 51, 0))


@pytest.mark.parametrize(("seconds", "steps"), [(2.0, 25), (10.0, 25), (3.33, 7)])
def test_short_segments_are_contiguous(seconds, steps):
    segments = Segments(seconds, steps, 16000, 10.24)
    assert segments.length == int(seconds / steps * 16000)
    assert abs(segments.starts[0]) <= 1
    assert set(np.diff(segments.starts) - segments.length) <= {0, 1}
    assert abs(segments.starts[-1] + segments.length - seconds * 16000) <= 1


def test_long_segments_are_centered():
    segments = Segments(1000.0, 4, 100, 10.24)
    assert segments.length == 1024
    np.testing.assert_array_equal(segments.starts + 512, [12500, 37500, 62500, 87500])
