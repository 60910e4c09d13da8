import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.offline import separated_codes, separation_bound
from reference.offline_centers import bound

BOUNDS = [(16, 100, 4), (16, 450, 4), (32, 100, 10), (32, 450, 9), (64, 100, 24), (64, 450, 22)]
"""Of the published settings, ActivityNet's 100 and FCVID's 450 clusters."""


def least_distance(codes: np.ndarray) -> int:
    products = codes @ codes.T
    return int((codes.shape[1] - products[~np.eye(len(codes), dtype=bool)].max()) // 2)


@pytest.mark.parametrize(("bits", "centers", "expected"), BOUNDS)
def test_bounds_of_the_published_settings(bits, centers, expected):
    assert separation_bound(bits, centers) == expected


@settings(max_examples=50)
@given(st.data())
def test_bound_by_counting_codes(data):
    bits = data.draw(st.integers(1, 10))
    centers = data.draw(st.integers(2, 2**bits))
    assert separation_bound(bits, centers) == bound(bits, centers)


@pytest.mark.parametrize("bits", [16, 20, 24, 32, 48, 64, 128])
@pytest.mark.parametrize("centers", [2, 3, 17, 50, 100, 101, 450])
def test_codes_reach_the_bound(bits, centers):
    separation = separation_bound(bits, centers)
    codes = separated_codes(bits, centers, separation, np.random.default_rng(0))
    assert codes.shape == (centers, bits)
    assert set(np.unique(codes)) == {-1, 1}
    assert least_distance(codes) >= separation


def test_rows_of_the_hadamard_matrix_come_first():
    codes = separated_codes(8, 16, 4, np.random.default_rng(0))
    assert np.array_equal(codes[:8] @ codes[:8].T, 8 * np.eye(8))
    assert np.array_equal(codes[8:], -codes[:8])


def test_perfect_codes_are_found_by_exhaustive_search():
    assert least_distance(separated_codes(7, 16, 3, np.random.default_rng(0))) == 3  # Hamming's code
    assert least_distance(separated_codes(16, 2048, 4, np.random.default_rng(0))) == 4  # extended by one bit


@pytest.mark.parametrize(("bits", "centers"), [(8, 21), (4, 15)])
def test_unreachable_bound_is_reported_and_one_less_works(bits, centers):
    separation = separation_bound(bits, centers)
    with pytest.raises(AvnasError, match=rf"{centers} hash centers of {bits} bits .* separation={separation - 1}"):
        separated_codes(bits, centers, separation, np.random.default_rng(0))
    codes = separated_codes(bits, centers, separation - 1, np.random.default_rng(0))
    assert least_distance(codes) >= separation - 1


@pytest.mark.parametrize(("bits", "centers"), [(0, 2), (8, 1), (8, 257)])
def test_numbers_out_of_range_are_refused(bits, centers):
    with pytest.raises(AvnasError, match="there must be from 2 to"):
        separation_bound(bits, centers)
