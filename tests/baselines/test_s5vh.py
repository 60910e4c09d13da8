"""S5VH with its objective: counts, both directions, training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avhash_nas.baselines import S5VH
from avhash_nas.data import Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.objectives import SLG
from baselines.planted import bounds, trained_map

TOKEN_PROBABILITIES = 768 * 256 + 256 + 437_760 + 257
"""A head of the released model that nothing uses: FC, one Mamba, FC to 1."""


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("tied", "millions", "encoder"), [(True, 3.97, 2_912_448), (False, 6.85, 5_539_008)])
def test_size_equals_the_released_model(tied, millions, encoder):
    """As measured on it with 100 clusters: with its unused head, and the trained matrix that stands for the centers."""
    network, objective = S5VH(768, 1, 64, tied=tied), SLG(legacy=tied)
    data = SimpleNamespace(frames=25, visual_dim=768, audio_dim=1, splits={"train": np.arange(3)})
    prepared = {"centers": torch.ones(100, 64), "assignment": torch.zeros(3)}
    objective.setup(data, network, prepared)
    matrix = 0 if tied else 100 * 64
    assert parameters(network) == encoder
    total = parameters(network) + parameters(objective) + matrix + TOKEN_PROBABILITIES
    assert total == pytest.approx(millions * 1e6, abs=5e3)


def test_size_sets_layers_and_drop_path_grows():
    for size, layers in (("mini", 1), ("small", 6), ("base", 12)):
        network = S5VH(4, 1, 8, size=size, width=16, drop_path=0.5)
        rates = [layer.drop_path for layer in network.layers]
        assert rates == pytest.approx(np.linspace(0, 0.5, layers) if layers > 1 else [0.0])


@pytest.fixture
def features():
    torch.manual_seed(1)
    return torch.randn(3, 6, 5), torch.randn(3, 6, 2)


def test_codes_are_means_of_binary_steps_and_depend_on_positions(features):
    torch.manual_seed(0)
    network = S5VH(5, 2, 32, size="mini", width=16, modality="both").eval()
    codes, steps = network.codes_and_steps(*features)
    assert set(steps.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(codes, steps.mean(dim=1))
    seen = features[0][:, :3], features[1][:, :3]
    early, late = (
        network.codes_and_steps(*seen, positions=torch.tensor(places).expand(3, 3)) for places in ([0, 1, 2], [3, 4, 5])
    )
    assert not torch.equal(early.steps, late.steps)


def test_gradients_pass_the_sign_and_reach_every_weight(features):
    torch.manual_seed(0)
    network = S5VH(5, 2, 8, size="small", width=16, modality="both", drop_path=0.0)
    codes = network(*features)
    (codes * torch.randn(3, 8)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("tied", [False, True])
def test_saving_and_loading_keep_the_codes(features, tied, tmp_path):
    network = S5VH(5, 2, 8, size="base", width=16, drop_path=0.3, tied=tied).eval()
    network.save_pretrained(tmp_path)
    again = S5VH.from_pretrained(tmp_path)
    assert torch.equal(again.encode(*features), network.encode(*features))
    assert again.arguments() == network.arguments()


def test_unknown_size_is_refused():
    with pytest.raises(AvnasError, match=r"network\.size: 'large' is none of mini, small, base"):
        S5VH(5, 2, 8, size="large")


@pytest.mark.parametrize("legacy", [False, True])
def test_training_solves_the_planted_problem(planted, legacy):
    torch.manual_seed(0)
    network = S5VH(planted.visual_dim, planted.audio_dim, 16, size="mini", width=32, tied=legacy)
    objective = SLG(decoder_width=24, clusters=6, alignment=0.1, warmup=3, legacy=legacy)
    found = trained_map(planted, network, objective, Shuffled(32), epochs=6, lr=5e-3)
    chance, projection = bounds(planted, 16)
    assert found > 2 * projection > 5 * chance
