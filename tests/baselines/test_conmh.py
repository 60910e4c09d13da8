"""ConMH with its objective: counts, views at their places, training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avhash_nas.baselines import ConMH
from avhash_nas.data import Batch, Shuffled
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives import MaskedContrastive
from baselines.planted import bounds, trained_map


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return Batch(torch.randn(4, 6, 5), torch.randn(4, 6, 3), torch.zeros(4, 1, dtype=torch.bool), torch.arange(4))


def make(**options):
    torch.manual_seed(2)
    return ConMH(5, 3, 8, **{"size": "mini", "width": 16, **options})


def set_up(network, batch, **options):
    objective = MaskedContrastive(decoder_width=12, **options)
    data = SimpleNamespace(frames=6, visual_dim=5, audio_dim=3, splits={"train": np.arange(4)})
    objective.setup(data, network, {})
    return objective


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("features", "millions"), [(768, 10.75), (1536, 11.10), (2048, 11.33), (4096, 12.25)])
def test_size_equals_the_paper(features, millions):
    with torch.device("meta"):
        network, objective = ConMH(features, 1, 64), MaskedContrastive()
        objective.setup(SimpleNamespace(frames=25, visual_dim=features, audio_dim=1), network, {})
    assert parameters(network) + parameters(objective) == pytest.approx(millions * 1e6, abs=5e3)
    assert parameters(network) == 9_704_544 + 256 * (features - 768)


@pytest.mark.parametrize(("modality", "width"), [("visual", 5), ("audio", 3), ("both", 8)])
def test_modality_selects_the_input(batch, modality, width):
    network = make(modality=modality).eval()
    codes = network(batch.visual, batch.audio)
    assert network.embed.in_features == width
    assert torch.equal(network(batch.visual + 1, batch.audio), codes) == (modality == "audio")
    assert torch.equal(network(batch.visual, batch.audio + 1), codes) == (modality == "visual")
    assert set_up(network, batch).decoder.out.out_features == width


def test_codes_are_means_of_binary_steps(batch):
    codes, steps = make().codes_and_steps(batch.visual, batch.audio)
    assert steps.shape == (4, 6, 8)
    assert set(steps.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(codes, steps.mean(dim=1))
    torch.testing.assert_close(make()(batch.visual, batch.audio), codes)


def test_visible_steps_keep_their_positions(batch):
    network = make().eval()
    everything = network.codes_and_steps(batch.visual, batch.audio, positions=torch.arange(6).expand(4, 6))
    assert torch.equal(everything.steps, network.codes_and_steps(batch.visual, batch.audio).steps)
    hidden = {}
    network.out.register_forward_hook(lambda _, __, output: hidden.update(out=output))
    seen = batch.visual[:, :3], batch.audio[:, :3]
    for name, positions in (("early", [0, 1, 2]), ("late", [3, 4, 5])):
        network.codes_and_steps(*seen, positions=torch.tensor(positions).expand(4, 3))
        hidden[name] = hidden["out"]
    assert not torch.allclose(hidden["early"], hidden["late"])


def test_gradients_pass_the_sign_and_reach_every_weight(batch):
    network = make(modality="both")
    objective = set_up(network, batch)
    torch.manual_seed(0)
    objective.loss(RoutedNetwork(network), batch).backward()
    for name, parameter in (*network.named_parameters(), *objective.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_alpha_weights_the_contrast(batch):
    network = make()
    losses = []
    for alpha in (0.0, 1.0, 2.0):
        torch.manual_seed(5)
        objective = set_up(network, batch, alpha=alpha)
        losses.append(objective.loss(RoutedNetwork(network), batch).item())
    assert losses[1] > losses[0]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)


def test_saving_and_loading_keep_the_codes(batch, tmp_path):
    network = make(modality="both", size="base", width=24).eval()
    network.save_pretrained(tmp_path)
    again = ConMH.from_pretrained(tmp_path)
    assert torch.equal(again.encode(batch.visual, batch.audio), network.encode(batch.visual, batch.audio))
    assert (len(again.layers), again.layers[0].heads) == (12, 12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConMH(5, 3, 8, size="huge"), "network.size: 'huge' is none of mini, small, base, large"),
        (lambda: ConMH(5, 3, 8, modality="smell"), "network.modality"),
        (lambda: make(width=15), "network.width must be even"),
        (lambda: MaskedContrastive(decoder_width=9), "objective.decoder_width must be even"),
        (lambda: MaskedContrastive(decoder_heads=0), "objective.decoder_heads must be from 1 to 192, got 0"),
        (lambda: MaskedContrastive(mask=1.0), "objective.mask must lie between 0 and 1"),
        (lambda: set_up(make(), None, mask=0.1), "objective.mask=0.1 hides 0 of 6 time steps"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(AvnasError, match=message):
        call()


@pytest.mark.parametrize("modality", ["visual", "both"])
def test_training_solves_the_planted_problem(planted, modality):
    torch.manual_seed(0)
    network = ConMH(planted.visual_dim, planted.audio_dim, 16, size="mini", width=32, modality=modality)
    objective = MaskedContrastive(decoder_width=24)
    found = trained_map(planted, network, objective, Shuffled(32), epochs=9, lr=5e-3)
    chance, projection = bounds(planted, 16)
    assert found > 2 * projection > 5 * chance
