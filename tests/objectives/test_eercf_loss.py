"""EERCF's loss and its parts against loops in float64."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from avhash_nas.errors import AvnasError
from avhash_nas.networks import TextViews, VideoViews
from avhash_nas.objectives import EERCFLoss, channel_correlation, correlation_loss, cross_info_nce
from reference import networks_text_gate as reference

B, T, P, D, Q = 4, 3, 2, 5, 6
INDEX = [7, 3, 7, 9]  # the first video comes twice


def drawn(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def views():
    torch.manual_seed(0)
    texts = TextViews(drawn(B, Q), drawn(B, D), drawn(B, D))
    return texts, VideoViews(drawn(B, Q), drawn(B, D), drawn(B, T, D), drawn(B, T, D), drawn(B, T * P, D))


def in_loops(loss, texts, videos):
    """The loss, term by term."""
    own = loss.gate == "own"
    there, all_there = [True] * T, [True] * (T * P)
    parts = {
        "coarse": lambda t, j, _: reference.dot(reference.hat(t), reference.hat(videos.coarse[j])),
        "frames": lambda t, j, g: reference.scored(t, videos.frames[j], loss.frame_temperature, there, g),
        "patches": lambda t, j, g: reference.scored(t, videos.patches[j], loss.patch_temperature, all_there, g),
        "context": lambda t, j, g: reference.vector(
            t, videos.frames[j], videos.context[j], loss.context_temperature, there, g, detach=True
        ),
    }
    scores = {
        name: reference.matrix(part, texts.coarse if name == "coarse" else texts.vector, B, own)
        for name, part in parts.items()
    }
    mixed = loss.coarse * scores["coarse"] + loss.frames * scores["frames"] + loss.patches * scores["patches"]
    total = (1 - loss.context) * reference.cross_entropy(loss.scale * mixed, INDEX)
    total = total + loss.context * reference.cross_entropy(loss.scale * scores["context"], INDEX)
    attended = []
    for j in range(B):
        weights = reference.gate(texts.vector[j], videos.frames[j], loss.frame_temperature, there)
        attended.append(sum(w * reference.hat(frame) for w, frame in zip(weights, videos.frames[j], strict=True)))
    total = total + loss.correlation * (
        reference.correlation(texts.coarse, videos.coarse) + reference.correlation(texts.vector, torch.stack(attended))
    )
    codes = reference.matrix(
        lambda t, j, _: reference.dot(reference.hat(t), reference.hat(videos.codes[j])), texts.codes, B, own=False
    )
    total = total + loss.codes * reference.cross_entropy(loss.code_scale * codes, INDEX)
    balance = sum((sum(bit) / B) ** 2 for side in (texts, videos) for bit in side.codes.T) / Q
    return total + loss.balance * balance


@pytest.mark.parametrize("gate", ["query", "own"])
def test_loss_equals_the_loops(views, gate):
    texts, videos = views
    loss = EERCFLoss(
        patches=0.3, correlation=0.1, balance=0.4, scale=3.0, code_scale=2.0, frame_temperature=0.2,
        context_temperature=0.4, patch_temperature=0.3, gate=gate,
    )  # fmt: skip
    actual, expected = loss.of_views(texts, videos, torch.tensor(INDEX)), in_loops(loss, texts, videos)
    torch.testing.assert_close(actual, expected)
    inputs = [*texts, *videos]
    for ours, theirs in zip(torch.autograd.grad(actual, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs)


SWITCHES = {
    "coarse only": ({"frames": 0, "context": 0, "correlation": 0, "codes": 0}, {"texts.coarse", "videos.coarse"}),
    "frames": (
        {"coarse": 0, "context": 0, "correlation": 0, "codes": 0},
        {"texts.vector", "videos.frames"},
    ),
    "context": (
        {"coarse": 0, "frames": 0, "correlation": 0, "codes": 0},
        {"texts.vector", "videos.context"},
    ),
    "patches": (
        {"coarse": 0, "frames": 0, "patches": 1, "context": 0, "correlation": 0, "codes": 0},
        {"texts.vector", "videos.patches"},
    ),
    "codes": ({"coarse": 0, "frames": 0, "context": 0, "correlation": 0}, {"texts.codes", "videos.codes"}),
    "correlation": (
        {"frames": 0, "context": 0, "coarse": 0, "codes": 1, "correlation": 1},
        {"texts.codes", "videos.codes", "texts.coarse", "videos.coarse"},
    ),
}


@pytest.mark.parametrize(("options", "trained"), SWITCHES.values(), ids=SWITCHES)
def test_switches_decide_what_is_trained(views, options, trained):
    texts, videos = views
    EERCFLoss(**options).of_views(texts, videos, torch.tensor(INDEX)).backward()
    sides = {"texts": texts._asdict(), "videos": videos._asdict()}
    moved = {
        f"{side}.{name}"
        for side, named in sides.items()
        for name, view in named.items()
        if view.grad is not None and view.grad.abs().sum() > 0
    }
    assert moved == trained


def test_bad_options_and_missing_views_are_refused(views):
    texts, videos = views
    for options, message in (
        ({"context": 1.5}, "context=1.5 must be from 0 to 1"),
        ({"scale": 0}, "scale=0 must be above 0"),
        ({"gate": "any"}, "gate='any'"),
        ({"coarse": 0, "frames": 0, "context": 0, "codes": 0}, "nothing compares texts"),
    ):
        with pytest.raises(AvnasError, match=message):
            EERCFLoss(**options)
    with pytest.raises(AvnasError, match="patches is above 0, but the network gives no patches"):
        EERCFLoss(patches=1).of_views(texts, videos._replace(patches=None), torch.tensor(INDEX))


def test_cross_info_nce_is_the_cross_entropy_of_both_sides():
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    right = torch.arange(5)
    expected = (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2
    torch.testing.assert_close(cross_info_nce(scores), expected)
    with pytest.raises(AvnasError, match=r"expected shape \(B, B\)"):
        cross_info_nce(scores[:3])


def test_two_captions_of_a_video_are_no_negatives():
    scores = torch.zeros(2, 2)
    assert cross_info_nce(scores, torch.ones(2, 2, dtype=torch.bool)) == 0
    assert cross_info_nce(scores) > 0.6


def test_correlation_is_numpys():
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 30, 6))
    expected = np.corrcoef(first.T, second.T)[:6, 6:].diagonal()
    actual = channel_correlation(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(actual.numpy(), expected)


def test_correlation_knows_no_scale_and_no_shift():
    first, second = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scaled = second * torch.tensor([2.0, 0.1, 30.0, 1.0]) + 5
    torch.testing.assert_close(channel_correlation(first, scaled), channel_correlation(first, second))
    torch.testing.assert_close(channel_correlation(first, -second), -channel_correlation(first, second))
    assert float(correlation_loss(first, 3 * first + 1)) == pytest.approx(0, abs=1e-12)


def test_a_constant_channel_has_a_finite_gradient():
    first = torch.randn(8, 3, dtype=torch.float64)
    second = torch.randn(8, 3, dtype=torch.float64)
    second[:, 1] = 4
    second.requires_grad_(True)
    loss = correlation_loss(first, second)
    loss.backward()
    assert channel_correlation(first, second)[1] == 0
    assert torch.isfinite(second.grad).all()


def test_correlation_alone_aligns_channels():
    torch.manual_seed(0)
    fixed = torch.randn(64, 5)
    mapped = torch.nn.Linear(5, 5)
    optimizer = torch.optim.Adam(mapped.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        correlation_loss(mapped(fixed @ torch.linspace(-1, 1, 25).view(5, 5).sin()), fixed).backward()
        optimizer.step()
    aligned = channel_correlation(mapped(fixed @ torch.linspace(-1, 1, 25).view(5, 5).sin()), fixed)
    assert aligned.mean() > 0.6
