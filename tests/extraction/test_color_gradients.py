import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avhash_nas.errors import AvnasError
from avhash_nas.extraction import ColorGradients
from avhash_nas.extraction.color_gradients import lab
from media.make import moving

EXTRACTOR = ColorGradients()
MOMENTS, SHADES, COLOURS, DIRECTIONS = slice(0, 96), slice(96, 104), slice(104, 168), slice(168, 296)
SIZE = (96, 72)


def plain(*color, size=(48, 64)):
    return np.broadcast_to(np.array(color, np.uint8), (1, *size, 3))


def distances(frames):
    vectors = EXTRACTOR(np.stack(frames))
    return np.linalg.norm(vectors[:, None] - vectors, axis=2)


def test_lab_of_known_colors():
    """Values of sRGB's corners in CIELAB, D65, as color tables give them."""
    known = {
        (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
        (0.0, 1.0, 0.0): (87.74, -86.18, 83.18),
        (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
        (1.0, 1.0, 0.0): (97.14, -21.55, 94.48),
        (1.0, 1.0, 1.0): (100, 0, 0),
        (0.0, 0.0, 0.0): (0, 0, 0),
        (0.02, 0.02, 0.02): (1.4, 0, 0),
    }
    np.testing.assert_allclose(lab(torch.tensor(list(known)).T).T, list(known.values()), atol=0.01)


def test_parts_of_the_vector():
    black, white = EXTRACTOR(plain(0, 0, 0))[0], EXTRACTOR(plain(255, 255, 255))[0]
    np.testing.assert_allclose(black[:16], -1, atol=1e-6)  # mean lightness of the cells
    np.testing.assert_allclose(white[:16], 1, atol=1e-5)
    np.testing.assert_allclose(black[48:96], 0, atol=1e-6)  # deviations
    np.testing.assert_allclose(black[SHADES], [2, 0, 0, 0, 0, 0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(white[SHADES], [0, 0, 0, 0, 0, 0, 0, 2], atol=1e-3)
    np.testing.assert_allclose(black[DIRECTIONS], 0, atol=1e-3)


def test_color_moments_of_cells():
    frame = np.full((64, 64, 3), 128, np.uint8)
    frame[:16, 48:] = (255, 0, 0)
    vector = EXTRACTOR(frame[None])[0]
    greenish_to_red, blue_to_yellow = vector[16:32], vector[32:48]
    assert greenish_to_red.argmax() == blue_to_yellow.argmax() == 3  # the cell in the upper right corner
    assert greenish_to_red[3] == pytest.approx(0.8, abs=0.01)
    np.testing.assert_allclose(np.delete(greenish_to_red, 3), 0, atol=1e-5)


@pytest.mark.parametrize(("angle", "direction"), [(0, 0), (45, 2), (90, 4), (135, 6), (180, 0), (-45, 6)])
def test_directions_of_a_ramp(angle, direction):
    rows, columns = np.mgrid[:64, :64] / 63 - 0.5
    away = columns * np.cos(np.radians(angle)) + rows * np.sin(np.radians(angle))
    frame = (np.round(128 + 90 * away)[..., None] * [1, 1, 1]).astype(np.uint8)
    shares = EXTRACTOR(frame[None])[0, DIRECTIONS].reshape(8, 16)
    assert (shares.argmax(0) == direction).all()


def test_histograms_sum_to_one():
    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)
    vectors = EXTRACTOR(frames)
    for part in (SHADES, COLOURS):
        np.testing.assert_allclose(((vectors[:, part] / 2) ** 2).sum(1), 1, atol=1e-4)


def test_nearest_neighbor_has_the_same_color_and_shape():
    """A shape elsewhere is nearer than another shape or another color."""
    kinds = [(hue, shape) for hue in (0.0, 0.3, 0.6) for shape in ("disc", "square", "stripes")]
    now = [moving(SIZE, hue, shape, 1.0)(0.40) for hue, shape in kinds]
    later = [moving(SIZE, hue, shape, 1.0)(0.46) for hue, shape in kinds]
    away = distances(now + later)[: len(kinds), len(kinds) :]
    assert away.argmin(1).tolist() == list(range(len(kinds)))


def test_distance_grows_with_the_difference_of_hue():
    hues = [0.0, 0.04, 0.1, 0.2]
    colors = [np.round(np.array(colorsys.hsv_to_rgb(hue, 1, 0.8)) * 255) for hue in hues]
    away = distances([plain(*color)[0] for color in colors])[0]
    assert (np.diff(away) > 0).all()


def test_brightness_moves_lightness_and_not_color():
    dark, bright = EXTRACTOR(plain(60, 60, 60))[0], EXTRACTOR(plain(180, 180, 180))[0]
    assert (bright[:16] - dark[:16] > 0.5).all()
    np.testing.assert_allclose(dark[COLOURS], bright[COLOURS], atol=1e-3)


def test_vector_is_nearly_invariant_to_frame_size():
    small, large = (moving(size, 0.6, "disc", 1.0)(0.5) for size in ((96, 72), (384, 288)))
    away = np.linalg.norm(EXTRACTOR(small[None]) - EXTRACTOR(large[None]))
    other = np.linalg.norm(EXTRACTOR(small[None]) - EXTRACTOR(moving((96, 72), 0.3, "disc", 1.0)(0.5)[None]))
    assert away < 0.3 * other


@settings(max_examples=30)
@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90), st.just(3))))
def test_values_are_bounded_and_independent_of_other_frames(frames):
    vectors = EXTRACTOR(frames)
    assert vectors.shape == (len(frames), EXTRACTOR.dim)
    assert vectors.dtype == np.float32
    assert np.all((vectors >= -1.1) & (vectors <= 2.001))
    np.testing.assert_allclose(vectors[-1:], EXTRACTOR(frames[-1:]), atol=1e-6)


@pytest.mark.parametrize("grid", [1, 2, 8])
def test_arguments_contain_the_grid(grid):
    extractor = ColorGradients(**ColorGradients(grid).arguments())
    assert extractor(plain(1, 2, 3)).shape == (1, extractor.dim) == (1, grid**2 * 14 + 72)


def test_invalid_grid_is_rejected():
    with pytest.raises(AvnasError, match="grid=3 must be 1, 2, 4, 8 or 16"):
        ColorGradients(3)
