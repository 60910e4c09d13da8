"""S5VH's objective part by part: centers, pseudo-labels that move, and three ranks."""

import numpy as np
import pytest
import torch
from torch import nn

from avhash_nas.baselines import S5VH
from avhash_nas.data import Batch, HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives import SLG, center_alignment
from avhash_nas.objectives.slg import LabelMemory
from distributed import masked
from reference import objectives_masked_views as oracle

ROWS = np.array([7, 3, 9, 4, 12, 0])
"""The training videos' rows."""


class Features:
    """Six training videos of two kinds, and what else an objective asks of a dataset."""

    visual_dim, audio_dim, frames = 5, 3, 6
    splits = {"train": ROWS}  # noqa: RUF012

    def __init__(self):
        torch.manual_seed(0)
        self.visual, self.audio = torch.randn(13, 6, 5) / 10, torch.randn(13, 6, 3) / 10
        self.visual[ROWS[:3], :, 0] += 3
        self.visual[ROWS[3:], :, 1] += 3
        self.audio[ROWS[::2], :, 0] += 3
        self.audio[ROWS[1::2], :, 1] += 3

    pieces = HashingData.pieces

    def batch(self, rows):
        rows = torch.as_tensor(rows)
        return Batch(self.visual[rows], self.audio[rows], torch.zeros(len(rows), 1, dtype=torch.bool), rows)


@pytest.fixture
def data():
    return Features()


def network(**options):
    torch.manual_seed(1)
    return S5VH(5, 3, 8, **{"size": "mini", "width": 16, **options})


def set_up(data, net, **options):
    objective = SLG(decoder_width=8, **{"clusters": 2, **options})
    objective.setup(data, net, objective.prepare(data, net, 0))
    return objective


def test_center_alignment_equals_the_reference():
    torch.manual_seed(3)
    codes, centers = torch.randn(4, 6).double().tanh(), torch.randn(3, 6).double().sign()
    labels = torch.rand(4, 3).double().softmax(dim=1)
    expected = oracle.center_alignment(codes.tolist(), centers.tolist(), labels.tolist(), 0.3)
    assert center_alignment(codes, centers, labels, 0.3).item() == pytest.approx(expected)
    codes.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: center_alignment(x, centers, labels), codes)


@pytest.mark.parametrize(
    ("modality", "groups"), [("visual", ([0, 1, 2], [3, 4, 5])), ("audio", ([0, 2, 4], [1, 3, 5]))]
)
def test_initial_labels_are_clusters_of_the_networks_input(data, modality, groups):
    objective = set_up(data, network(modality=modality))
    labels = objective.memory.read(torch.from_numpy(ROWS))
    assert labels.shape == (6, 2)
    assert (labels.sum(dim=1) == 1).all()
    for group in groups:
        assert len(labels[group].unique(dim=0)) == 1
    assert not torch.equal(labels[groups[0][0]], labels[groups[1][0]])


def test_alignment_pulls_codes_to_the_center_of_their_cluster(data):
    """The gradient of the alignment alone, from a code in the middle, points to the center of the video's label."""
    objective = set_up(data, network())
    labels = objective.memory.read(torch.from_numpy(ROWS))
    codes = torch.zeros(6, 8, requires_grad=True)
    center_alignment(codes, objective.centers, labels).backward()
    own, other = labels @ objective.centers, (1 - labels) @ objective.centers
    differing = own != other
    assert differing.any()
    assert torch.equal(-codes.grad.sign()[differing], own[differing])


def test_centers_are_binary_and_fixed_or_trained_in_legacy(data):
    net = network()
    objective = set_up(data, net)
    assert set(objective.centers.unique().tolist()) == {-1.0, 1.0}
    assert "centers" in objective.state_dict()
    assert "centers" not in dict(objective.named_parameters())
    legacy = set_up(data, net, legacy=True)
    assert isinstance(legacy.centers, nn.Parameter)
    legacy.loss(RoutedNetwork(net), data.batch(ROWS)).backward()
    assert legacy.centers.grad.abs().max() > 0
    assert len(set(legacy.centers.detach().flatten().tolist())) == 16
    assert legacy.decoder.layers[0].backward_mixer is None
    assert objective.decoder.layers[0].backward_mixer is not None


@pytest.mark.parametrize("part", ["alpha", "alignment"])
def test_each_term_is_weighted(data, part):
    net = network(drop_path=0.0)
    losses = []
    for weight in (0.0, 1.0, 2.0):
        torch.manual_seed(5)
        objective = set_up(data, net, **{part: weight})
        torch.manual_seed(6)
        losses.append(objective.loss(RoutedNetwork(net), data.batch(ROWS)).item())
    assert losses[1] > losses[0]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_labels_move_after_warmup_once_per_epoch(data):
    net = network(drop_path=0.5)
    objective = set_up(data, net, warmup=3, smoothing=0.25)
    batch = data.batch(ROWS[:4])
    before = objective.memory.labels.clone()
    objective.start_epoch(2)
    objective.loss(RoutedNetwork(net), batch)
    assert torch.equal(objective.memory.labels, before)

    objective.start_epoch(3)
    net.train()
    for _ in range(2):
        objective.loss(RoutedNetwork(net), batch)
    assert net.training
    codes = net.eval()(batch.visual, batch.audio)
    predicted = (codes @ objective.centers.T).softmax(dim=1)
    torch.testing.assert_close(objective.memory.labels[:4], 0.75 * before[:4] + 0.25 * predicted)
    assert torch.equal(objective.memory.labels[4:], before[4:])

    objective.start_epoch(4)
    objective.loss(RoutedNetwork(net), batch)
    torch.testing.assert_close(objective.memory.labels[:4], 0.75**2 * before[:4] + (1 - 0.75**2) * predicted)


def test_checkpoints_hold_moved_labels(data):
    net = network()
    objective, resumed = set_up(data, net, warmup=0, smoothing=0.5), set_up(data, net, warmup=0, smoothing=0.5)
    objective.loss(RoutedNetwork(net), data.batch(ROWS))
    assert not torch.equal(objective.memory.labels, resumed.memory.labels)
    resumed.load_state_dict(objective.state_dict())
    resumed.loss(RoutedNetwork(net), data.batch(ROWS))  # the epoch in which they have moved already
    assert torch.equal(objective.memory.labels, resumed.memory.labels)


def test_label_memory_is_indexed_by_rows():
    memory = LabelMemory(ROWS, torch.tensor([0, 1, 2, 0, 1, 2]), 3)
    assert memory.read(torch.tensor([9, 7, 0])).argmax(dim=1).tolist() == [2, 0, 2]
    memory.refresh(torch.tensor([3]), torch.tensor([[1.0, 0.0, 0.0]]), 1.0, 0)
    assert memory.read(torch.from_numpy(ROWS)).argmax(dim=1).tolist() == [0, 0, 2, 0, 1, 2]


@pytest.mark.parametrize("kind", ["SLG", "MaskedContrastive"])
def test_three_ranks_equal_one_process(three_ranks, kind):
    alone = masked.derivatives(0, kind)
    for answer in three_ranks.run(masked.derivatives, kind):
        torch.testing.assert_close(answer, alone, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda data: set_up(data, network(), clusters=7),
            "objective.clusters=7, but there are only 6 training videos",
        ),
        (lambda data: set_up(data, network(), mask=0.1), "objective.mask=0.1 hides 0 of 6 time steps"),
        (lambda _: SLG(mask=0), "objective.mask must lie between 0 and 1, got 0"),
        (lambda _: SLG(decoder_layers=0), "objective.decoder_layers must be at least 1, got 0"),
        (lambda _: SLG(clusters=1), "objective.clusters is out of range: 1"),
        (lambda _: SLG(smoothing=2), "objective.smoothing is out of range: 2"),
        (lambda _: SLG(prior=1), "prior: expected a number in"),
    ],
)
def test_bad_options_are_named(data, call, message):
    with pytest.raises(AvnasError, match=message):
        call(data)


@pytest.mark.parametrize("legacy", [False, True])
def test_states_and_prepared_tensors_of_earlier_versions_are_read(data, legacy):
    net = network()
    objective = SLG(decoder_width=8, clusters=2, legacy=legacy)
    prepared = objective.prepare(data, net, 0)
    objective.setup(data, net, {"centres": prepared["centers"], "assignment": prepared["assignment"]})
    outer = nn.ModuleDict({"objective": objective})
    state = {name.replace("centers", "centres"): 2 * tensor for name, tensor in outer.state_dict().items()}
    expected = 2 * objective.centers.detach()
    outer.load_state_dict(state)
    assert torch.equal(objective.centers, expected)
