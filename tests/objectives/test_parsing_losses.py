"""The losses of HAN, VALOR and LINK against sums over single entries."""

import math

import pytest
import torch
from torch import Tensor

from avhash_nas.data import Batch, EventLabels
from avhash_nas.errors import AvnasError
from avhash_nas.networks import MMILHead, Parsing, ParsingNetwork, RoutedNetwork
from avhash_nas.objectives import AVSimilarity, InfoNCE, SegmentLabels, WeakLabels, av_similarity, similarity_weight
from reference.parsing_equations import cross_entropy, mean_cross_entropy, similarity, weight

B, T, C, D = 3, 4, 5, 6


class Linear(ParsingNetwork):
    """The smallest parser: features as they are, with a head."""

    def __init__(self, visual_dim: int, audio_dim: int, classes: int) -> None:
        super().__init__()
        self.parse = MMILHead(visual_dim, classes)

    def segment_features(self, visual: Tensor, audio: Tensor, route=None) -> Tensor:
        return torch.stack([audio, visual], dim=1)


def case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(B, 2, T, D, generator=generator, dtype=torch.float64)
    head = MMILHead(D, C).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    parsing = Parsing(*head.pool(head(features)), features)
    weak = torch.rand(B, C, generator=generator) < 0.5
    pseudo = (torch.rand(B, 2, T, C, generator=generator) < 0.4) & weak[:, None, None]
    pseudo[0, :, 0] = False  # a segment without any label
    return parsing, weak, pseudo


def test_weak_labels():
    parsing, weak, _ = case()
    expected = mean_cross_entropy(parsing.video, weak)
    assert WeakLabels(guided=False)(parsing, weak, None).item() == pytest.approx(expected, abs=1e-7)
    for number, certainty in ((0, 1.0), (1, 0.9)):
        labels = certainty * weak.double() + (1 - certainty) / 2
        expected += mean_cross_entropy(parsing.modalities[:, number], labels)
    assert WeakLabels()(parsing, weak, None).item() == pytest.approx(expected, abs=1e-6)


def segment_terms(parsing, pseudo):
    p = parsing.logits.sigmoid()
    return sum(mean_cross_entropy(p[:, m], pseudo[:, m]) for m in (0, 1))


def test_segment_labels():
    parsing, weak, pseudo = case()
    expected = mean_cross_entropy(parsing.video, weak) + segment_terms(parsing, pseudo)
    assert SegmentLabels()(parsing, weak, pseudo).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("pairs", ["segments", "all"])
@pytest.mark.parametrize("mu", [0.5, 1.0, 1.7])
def test_similarity_term(pairs, mu):
    parsing, _, pseudo = case()
    expected = similarity(parsing.features, pseudo, mu, pairs)
    made = av_similarity(parsing.features, pseudo, torch.tensor(mu, dtype=torch.float64), pairs)
    assert made.item() == pytest.approx(expected, abs=1e-12)


def test_links_sum():
    parsing, weak, pseudo = case()
    expected = mean_cross_entropy(parsing.video, weak) + segment_terms(parsing, pseudo)
    expected += sum(mean_cross_entropy(parsing.modalities[:, m], pseudo[:, m].any(dim=1)) for m in (0, 1))
    assert AVSimilarity(similarity=0)(parsing, weak, pseudo).item() == pytest.approx(expected, abs=1e-9)
    expected += 0.5 * similarity(parsing.features, pseudo, 0.3, "segments")
    assert AVSimilarity(mu=0.3, similarity=0.5).double()(parsing, weak, pseudo).item() == pytest.approx(expected, 1e-6)


@pytest.mark.parametrize("s", [-1.0, -0.2, -0.199, -0.001, 0.0, 0.5, 1.0])
def test_weight_as_printed(s):
    for mu in (0.25, 1.0, 2.0):
        made = similarity_weight(torch.tensor(s, dtype=torch.float64), torch.tensor(mu, dtype=torch.float64))
        assert made.item() == pytest.approx(weight(s, mu))
        assert made >= 1
    assert weight(0.0, 0.5) == pytest.approx(math.exp(0.5))
    assert weight(1.0, 0.5) == 1


def test_a_trained_mu_unlearns_the_weighting_and_the_weight_pulls_no_features():
    parsing, _, pseudo = case()
    for start, sign in ((0.5, -1.0), (1.5, 1.0), (1.0, 0.0)):
        mu = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        av_similarity(parsing.features, pseudo, mu).backward()
        assert mu.grad.sign().item() == sign
    features = parsing.features.clone().requires_grad_()
    assert not similarity_weight(features[:, 0, 0, 0], torch.tensor(0.5)).requires_grad


def test_gradients():
    parsing, _, pseudo = case()
    mu = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    one = torch.tensor(1.0, dtype=torch.float64)
    features = parsing.features[:1].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: av_similarity(x, pseudo[:1], one), (features,))
    assert torch.autograd.gradcheck(lambda x: av_similarity(features.detach(), pseudo[:1], x), (mu,))


def test_no_labels_at_all_give_zero():
    parsing, _, pseudo = case()
    assert av_similarity(parsing.features, torch.zeros_like(pseudo), torch.tensor(0.5)) == 0


@pytest.mark.parametrize(
    ("weighting", "trained", "mu"), [("trained", True, 0.3), ("fixed", False, 0.3), ("one", False, 1.0)]
)
def test_ways_to_weigh(weighting, trained, mu):
    objective = AVSimilarity(weighting=weighting, mu=0.3)
    assert objective.mu.requires_grad == trained
    assert objective.summary()["mu"] == pytest.approx(mu)


def batch(seed=0, pseudo=True):
    generator = torch.Generator().manual_seed(seed)
    visual, audio = (torch.randn(B, T, D, generator=generator) for _ in range(2))
    labels = torch.rand(B, C, generator=generator) < 0.5
    of_segments = torch.rand(B, 2, T, C, generator=generator) < 0.4
    events = EventLabels(torch.zeros_like(of_segments), of_segments if pseudo else None, of_segments)
    return Batch(visual, audio, labels, torch.arange(B), events)


def test_entries_above_one_are_counted():
    network, objective = Linear(D, D, C), WeakLabels()
    with torch.no_grad():
        network.parse.probability.bias.fill_(20.0)
        network.parse.time_attention.weight.mul_(40)
        network.parse.modality_attention.weight.mul_(40)
    given = batch()
    objective.loss(RoutedNetwork(network), given)
    above = (network(given.visual, given.audio).video > 1 - 1e-7).float().mean().item()
    assert 0 < above < 1
    assert objective.summary() == {"clamped": pytest.approx(above)}
    objective.start_epoch(1)
    assert objective.summary() == {"clamped": 0.0}
    assert cross_entropy(1.5, 1) == pytest.approx(0, abs=1e-6)


def test_each_kind_of_objective_takes_its_kind_of_network():
    with pytest.raises(AvnasError, match="InfoNCE trains HashNetwork networks only, not Linear"):
        InfoNCE().check(Linear(D, D, C))
    with pytest.raises(AvnasError, match="Linear gives no codes"):
        InfoNCE().loss(RoutedNetwork(Linear(D, D, C)), batch())
    SegmentLabels().check(Linear(D, D, C))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeakLabels(audio_certainty=1.5), "audio_certainty"),
        (lambda: SegmentLabels(pseudo="guess"), "objective.pseudo: 'guess' is none of dataset, texts, means"),
        (lambda: AVSimilarity(pairs="some"), "objective.pairs"),
        (lambda: AVSimilarity(weighting="free"), "objective.weighting"),
        (lambda: AVSimilarity(similarity=-1.0), "objective.similarity"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(AvnasError, match=message):
        make()
