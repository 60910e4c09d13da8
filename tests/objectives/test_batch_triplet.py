import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.objectives import BatchTriplet, batch_triplet
from reference import objectives_batch_triplet as oracle

SELECTIONS = ("hard", "semi_hard")


def random_batch(seed, videos, classes, bits, rate=0.35):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(videos, bits, generator=generator, dtype=torch.float64).tanh()
    return codes, torch.rand(videos, classes, generator=generator) < rate


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    videos=st.integers(1, 9),
    classes=st.integers(1, 4),
    bits=st.integers(3, 6),  # of fewer, cosines are tied but for their last digit
    margin=st.sampled_from([0.05, 0.25, 1.0]),
    selection=st.sampled_from(SELECTIONS),
)
def test_loss_equals_the_reference_on_multi_label_batches(seed, videos, classes, bits, margin, selection):
    codes, labels = random_batch(seed, videos, classes, bits)
    sets = [set(row.nonzero().flatten().tolist()) for row in labels]
    expected = oracle.batch_triplet(codes.tolist(), sets, margin, selection)
    assert batch_triplet(codes, labels, margin, selection).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_gradients_with_anchors_without_positives_or_negatives(selection):
    codes, _ = random_batch(5, 6, 1, 4)
    codes.requires_grad_()
    loners = torch.eye(4, dtype=torch.bool)[[0, 0, 1, 1, 2, 3]]
    hub = torch.tensor([[1, 1], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], dtype=torch.bool)  # row 0 has no negative
    for labels in (loners, hub):
        assert torch.autograd.gradcheck(lambda x, labels=labels: batch_triplet(x, labels, 0.5, selection), codes)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize(
    "labels",
    [torch.eye(4, dtype=torch.bool), torch.zeros(4, 2, dtype=torch.bool), torch.ones(4, 1, dtype=torch.bool)],
    ids=["no positives", "no labels", "no negatives"],
)
def test_batch_without_comparisons_gives_zero_loss_and_gradient(labels, selection):
    codes = torch.randn(4, 8, requires_grad=True)
    loss = batch_triplet(codes, labels, selection=selection)
    loss.backward()
    assert loss.item() == 0
    assert codes.grad.count_nonzero() == 0


def test_semi_hard_skips_negatives_nearer_than_the_positive():
    codes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0], [1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, -1.0, 1.0]])
    labels = torch.tensor([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.bool)
    # anchor 0: positive at 1/2, negatives at 1/4 and 3/4; anchor 1: positive at 1/2, negatives at 1/4 and 3/4
    assert batch_triplet(codes, labels, 0.5, "hard").item() == pytest.approx(0.5 - 0.25 + 0.5)
    assert batch_triplet(codes, labels, 0.5, "semi_hard").item() == pytest.approx(0.5 - 0.75 + 0.5)


def test_autocast_computes_in_float32():
    codes, labels = torch.randn(12, 64).bfloat16(), torch.eye(4, dtype=torch.bool).repeat(3, 1)
    exact = batch_triplet(codes.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(batch_triplet(codes, labels), exact)


def test_module_uses_its_settings_and_refuses_bad_ones():
    codes, labels = random_batch(2, 10, 3, 8)
    assert BatchTriplet(0.5, "hard")(codes, labels) == batch_triplet(codes, labels, 0.5, "hard")
    with pytest.raises(AvnasError, match="margin: expected a number above 0, got 0"):
        BatchTriplet(0)
    with pytest.raises(AvnasError, match="'easy' is none of hard, semi_hard"):
        BatchTriplet(selection="easy")
