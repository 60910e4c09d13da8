"""The text gate against loops in float64, its limits, and its cost."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import Matching, counted_cost
from avhash_nas.networks.text_gate import attended, scored_gate, unit, vector_gate
from reference import networks_text_gate as reference

TEXTS, VIDEOS, PARTS, WIDTH = 3, 3, 4, 5


@pytest.fixture
def made():
    generator = torch.Generator().manual_seed(0)
    shapes = (TEXTS, WIDTH), (VIDEOS, PARTS, WIDTH), (VIDEOS, PARTS, WIDTH)
    return [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]


MASK = torch.tensor([[True, True, True, True], [True, False, True, False], [False, False, False, True]])


def gradients(result, inputs):
    weights = torch.arange(1.0, result.numel() + 1, dtype=result.dtype).view_as(result)
    return torch.autograd.grad((weights * result).sum(), inputs, allow_unused=True)


def same(actual, expected, inputs):
    torch.testing.assert_close(actual, expected)
    for ours, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("gate", ["query", "own"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_scored_equals_the_loops(made, gate, mask):
    text, parts, _ = made
    present = (torch.ones_like(MASK) if mask is None else mask).tolist()
    expected = reference.matrix(
        lambda t, j, gating: reference.scored(t, parts[j], 0.3, present[j], gating), text, VIDEOS, gate == "own"
    )
    same(scored_gate(text, parts, 0.3, mask=mask, gate=gate), expected, [text, parts])


@pytest.mark.parametrize("gate", ["query", "own"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_vector_equals_the_loops(made, gate, detach, mask):
    text, parts, values = made
    present = (torch.ones_like(MASK) if mask is None else mask).tolist()
    expected = reference.matrix(
        lambda t, j, gating: reference.vector(t, parts[j], values[j], 0.3, present[j], gating, detach),
        *(text, VIDEOS, gate == "own"),
    )
    actual = vector_gate(text, parts, values, 0.3, mask=mask, gate=gate, detach=detach)
    same(actual, expected, [text, values] if detach else [text, parts, values])


def test_attended_is_what_the_own_gate_scores(made):
    text, parts, _ = made
    vectors = attended(text, parts, 0.2, MASK)
    own = scored_gate(text, parts, 0.2, mask=MASK, gate="own")
    torch.testing.assert_close((unit(text) * vectors).sum(dim=1), own.diagonal())


def test_scored_is_the_length_times_vector_where_values_are_the_parts(made):
    text, parts, _ = made
    lengths = attended(text, parts, 0.1).norm(dim=1)
    scored, vector = scored_gate(text, parts, 0.1).diagonal(), vector_gate(text, parts, parts, 0.1).diagonal()
    torch.testing.assert_close(scored, lengths * vector)


def test_limits_of_the_temperature_are_the_best_part_and_the_mean(made):
    text, parts, _ = made
    cosines = torch.einsum("ad,bnd->abn", unit(text), unit(parts))
    torch.testing.assert_close(scored_gate(text, parts, 1e-5), cosines.amax(dim=2))
    torch.testing.assert_close(scored_gate(text, parts, 1e6), cosines.mean(dim=2), atol=1e-5, rtol=1e-5)


def test_masked_parts_count_as_removed_and_order_does_not_matter(made):
    text, parts, values = made
    mask = torch.tensor([[True, True, False, True]] * VIDEOS)
    kept = [0, 1, 3]
    torch.testing.assert_close(scored_gate(text, parts, 0.1, mask=mask), scored_gate(text, parts[:, kept], 0.1))
    order = [2, 0, 3, 1]
    torch.testing.assert_close(
        vector_gate(text, parts[:, order], values[:, order], 0.1), vector_gate(text, parts, values, 0.1)
    )


def test_bfloat16_and_autocast_compute_in_float32(made):
    text, parts, values = (each.detach().float() for each in made)
    expected = vector_gate(text, parts, values, 0.01)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(vector_gate(text, parts, values, 0.01), expected)
    rounded = scored_gate(text.bfloat16(), parts.bfloat16(), 0.1)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, scored_gate(text, parts, 0.1), atol=0.05, rtol=0.05)


def test_bad_arguments_are_refused(made):
    text, parts, _ = made
    with pytest.raises(AvnasError, match="temperature: expected a number above 0"):
        scored_gate(text, parts, 0.0)
    with pytest.raises(AvnasError, match="2 texts are not the captions of 3 videos"):
        scored_gate(text[:2], parts, 0.1, gate="own")


def test_operations_that_are_counted_are_those_of_the_formula():
    """One text against one candidate: similarities of the parts, and their weighted sum in both readings."""
    width, frames, patches = 64, 6, 3
    text, parts, values = (
        torch.randn(1, width),
        torch.randn(1, frames * (1 + patches), width),
        torch.randn(1, frames, width),
    )
    with FlopCounterMode(display=False) as counter:
        torch.einsum("ad,bnd->abn", text, parts)
    similarities = counter.get_total_flops() / 2
    matching = Matching(width, frames, patches, videos=1, depth=1)
    coarse = width + width**2
    weighted = frames * (1 + patches)
    assert counted_cost(matching, context=False) == coarse + similarities + weighted
    with FlopCounterMode(display=False) as counter:
        attention = torch.softmax(torch.randn(1, frames), dim=1)
        sum_of_values = attention @ values[0]  # F d
        sum_of_values @ sum_of_values.T  # its length, d
        text @ sum_of_values.T  # d
    assert counted_cost(matching) - counted_cost(matching, context=False) == counter.get_total_flops() / 2
