"""What the three methods in the style of others have in common: checks that each of their files runs."""

from pathlib import Path

import torch
from torch import Tensor

from avhash_nas.data import Batch, ClassBalanced, HashingData
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective
from baselines.planted import CLASSES, DIM, bounds, trained_map


def features(visual_dim: int = 5, audio_dim: int = 3) -> tuple[Tensor, Tensor]:
    """Of six videos of four time steps."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(6, 4, dim, generator=generator) for dim in (visual_dim, audio_dim))


def check_loss_trains_replaced_parameters(network: HashNetwork, objective: Objective) -> None:
    """A step on parameters that are handed in: they get gradients, the network's own do not, and the loss is theirs."""
    other = {name: (2 * value).detach().requires_grad_() for name, value in network.named_parameters()}
    labels = torch.eye(2, dtype=torch.bool).repeat(3, 1)
    batch = Batch(*features(), labels, torch.arange(6))
    loss = objective.loss(RoutedNetwork(network, parameters=other), batch)
    loss.backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in other.values())
    assert all(parameter.grad is None for parameter in network.parameters())
    network.load_state_dict({name: value.detach() for name, value in other.items()})
    torch.testing.assert_close(objective.loss(RoutedNetwork(network), batch), loss)


def check_saving_and_exporting(network: HashNetwork, folder: Path) -> None:
    """Saved and loaded, and exported for another batch size, it gives the same codes."""
    network.eval()
    visual, audio = features()
    network.save_pretrained(folder)
    again = HashNetwork.from_pretrained(folder)
    assert torch.equal(again.encode(visual, audio), network.encode(visual, audio))
    assert again.fingerprint() == network.fingerprint()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(network, (visual, audio), dynamic_shapes=({0: batch}, {0: batch}))
    torch.testing.assert_close(exported.module()(visual[:3], audio[:3]), network(visual[:3], audio[:3]))


def check_modality(modality: str, network: HashNetwork) -> None:
    """It sees the frames, and hears the sound only where it is asked to."""
    visual, audio = features()
    codes = network(visual, audio)
    assert codes.shape == (6, network.bits)
    assert not torch.equal(network(visual + 1, audio), codes)
    assert torch.equal(network(visual, audio + 1), codes) is (modality == "visual")


def check_planted_problem(network: HashNetwork, objective: Objective, data: HashingData) -> None:
    """Its score is far above those of a random order and of random projections."""
    assert (data.visual_dim, data.audio_dim) == (DIM, DIM)
    sampling = ClassBalanced(classes=CLASSES, videos=5)
    reached = trained_map(data, network, objective, sampling, epochs=5, lr=3e-3)
    chance, projection = bounds(data, network.bits)
    assert reached > projection + 0.2 > chance + 0.2
