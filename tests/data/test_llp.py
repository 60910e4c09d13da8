import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from avhash_nas.data import clap_steps
from avhash_nas.errors import DataError


def test_averaging_before_the_linear_map_is_averaging_behind_it():
    """VALOR maps 2 x 1024 interpolated positions and then averages; the map commutes with both."""
    features = np.random.default_rng(0).standard_normal((64, 12)).astype(np.float32)
    linear = nn.Linear(12, 5)
    plane = torch.from_numpy(features).T.reshape(1, 12, 2, 32)
    mapped = linear(functional.interpolate(plane, size=(2, 1024), mode="bicubic").permute(0, 2, 3, 1))
    averaged = mapped.mean(dim=1)[0].T  # (5, 1024)
    expected = torch.stack([averaged[:, slice(*bounds)].mean(dim=1) for bounds in parts(1024, 10)])
    torch.testing.assert_close(linear(torch.from_numpy(clap_steps(features))), expected, rtol=1e-4, atol=1e-5)


def parts(count, number):
    """Bounds of adaptive average pooling, which overlap where the parts are not whole."""
    return [(count * part // number, -(-count * (part + 1) // number)) for part in range(number)]


def test_another_shape_is_refused():
    with pytest.raises(DataError, match=r"expected shape \(64, dim\), got \(10, 768\)"):
        clap_steps(np.zeros((10, 768), np.float32))
