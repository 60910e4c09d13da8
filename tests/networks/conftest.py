"""Small networks over the whole space, with weights that tell every path apart."""

import numpy as np
import pytest
import torch

from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.space import load_space

SIZES = {"width": 8, "heads": 2, "states": 3, "rank": 2}


def make_network(space="full", visual_dim=8, audio_dim=6, bits=12, **arguments):
    torch.manual_seed(0)
    space = load_space(space) if isinstance(space, str) else space
    return AudioVisualNetwork(visual_dim, audio_dim, bits, space, **{**SIZES, **arguments})


@pytest.fixture
def make():
    return make_network


@pytest.fixture(scope="session")
def supernet():
    """The full space in double precision, in evaluation mode; every bias and norm away from its trivial start."""
    network = make_network().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="session")
def features():
    generator = torch.Generator().manual_seed(1)
    shapes = (3, 5, 8), (3, 5, 6)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


@pytest.fixture(scope="session")
def architectures():
    """Random architectures of the full space, and eight more so that every candidate of every cell occurs."""
    space = load_space("full")
    generator = np.random.default_rng(0)
    cyclic = [
        space.architecture(
            {cell.name: (shift + place) % len(cell.candidates) for place, cell in enumerate(space.cells)}
        )
        for shift in range(8)
    ]
    return [space.sample(generator) for _ in range(32)] + cyclic
