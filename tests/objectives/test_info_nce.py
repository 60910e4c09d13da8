import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.objectives import InfoNCE, Objective, TripletInfoNCE, info_nce, info_nce_triplets
from reference import objectives_info_nce as oracle


def random_batch(seed: int, videos: int, classes: int, bits: int, rate: float = 0.35) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(videos, bits, generator=generator, dtype=torch.float64).tanh()
    return codes, torch.rand(videos, classes, generator=generator) < rate


def label_sets(labels: Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in labels]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    videos=st.integers(1, 9),
    classes=st.integers(1, 5),
    bits=st.integers(1, 6),
    temperature=st.sampled_from([0.05, 0.1, 1.0]),
)
def test_in_batch_form_equals_the_reference_on_multi_label_batches(seed, videos, classes, bits, temperature):
    codes, labels = random_batch(seed, videos, classes, bits)
    expected = oracle.in_batch(codes.tolist(), label_sets(labels), temperature)
    assert info_nce(codes, labels, temperature).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**20), anchors=st.integers(1, 4), negatives=st.integers(1, 5))
def test_triplet_form_equals_the_reference(seed, anchors, negatives):
    codes, _ = random_batch(seed, anchors * (2 + negatives), 1, 8)
    expected = oracle.triplets(codes.tolist(), negatives, 0.1)
    assert info_nce_triplets(codes, negatives).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_both_forms_agree_on_a_single_triplet():
    """The pair is met from both of its ends in a batch, so the batch is the mean of the two orders of the triplet."""
    codes, _ = random_batch(3, 6, 1, 16)
    labels = torch.eye(5, dtype=torch.bool)[[0, 0, 1, 2, 3, 4]]
    both_orders = torch.cat([codes, codes[[1, 0, 2, 3, 4, 5]]])
    torch.testing.assert_close(info_nce(codes, labels), info_nce_triplets(both_orders, negatives=4))


def test_one_shared_label_of_several_makes_a_positive():
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    shares_one = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])
    as_one_class = torch.tensor([[True, False], [True, False], [False, True]])
    assert info_nce(codes, shares_one).item() == info_nce(codes, as_one_class).item() > 0


def test_gradients_with_anchors_without_positives_or_negatives():
    codes, _ = random_batch(5, 5, 1, 4)
    codes.requires_grad_()
    two_and_loners = torch.eye(4, dtype=torch.bool)[[0, 0, 1, 2, 3]]
    assert torch.autograd.gradcheck(lambda x: info_nce(x, two_and_loners), codes)
    hub = torch.tensor(
        [[1, 1, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.bool
    )  # row 0 has no negative
    assert torch.autograd.gradcheck(lambda x: info_nce(x, hub), codes)
    assert torch.autograd.gradcheck(lambda x: info_nce_triplets(x, negatives=3), codes)


@pytest.mark.parametrize(
    "labels",
    [torch.eye(4, dtype=torch.bool), torch.zeros(4, 2, dtype=torch.bool), torch.ones(4, 1, dtype=torch.bool)],
    ids=["no positives", "no labels", "no negatives"],
)
def test_batch_without_comparisons_gives_zero_loss_and_gradient(labels):
    codes = torch.randn(4, 8, requires_grad=True)
    loss = info_nce(codes, labels)
    loss.backward()
    assert loss.item() == 0
    assert codes.grad is not None
    assert codes.grad.count_nonzero() == 0


def test_a_video_without_labels_is_a_negative_of_all_others():
    codes, _ = random_batch(8, 3, 1, 4)
    without = torch.tensor([[True], [True], [False]])
    other_class = torch.tensor([[True, False], [True, False], [False, True]])
    assert info_nce(codes, without).item() == info_nce(codes, other_class).item()


def test_a_tiny_temperature_stays_finite():
    codes = torch.randn(12, 16, requires_grad=True)
    labels = torch.eye(4, dtype=torch.bool).repeat(3, 1)
    loss = info_nce(codes, labels, temperature=1e-4) + info_nce_triplets(codes, negatives=4, temperature=1e-4)
    loss.backward()
    assert loss.isfinite()
    assert codes.grad is not None
    assert codes.grad.isfinite().all()


@pytest.mark.parametrize("objective", [InfoNCE(), TripletInfoNCE()])
def test_autocast_computes_in_float32(objective: Objective):
    codes = torch.randn(12, 64).bfloat16()
    labels = torch.eye(4, dtype=torch.bool).repeat(3, 1)
    exact = objective(codes.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(codes, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact)


def test_loss_is_scale_invariant():
    codes, labels = random_batch(11, 8, 3, 8)
    scale = torch.rand(8, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(info_nce(codes * scale, labels), info_nce(codes, labels))


def test_modules_use_their_settings():
    codes, labels = random_batch(2, 10, 3, 8)
    assert InfoNCE(temperature=0.3)(codes, labels) == info_nce(codes, labels, 0.3)
    assert TripletInfoNCE(negatives=3, temperature=0.3)(codes, labels) == info_nce_triplets(codes, 3, 0.3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: InfoNCE(temperature=0), "temperature: expected a number above 0, got 0"),
        (lambda: TripletInfoNCE(negatives=0), "negatives: expected at least 1, got 0"),
        (lambda: info_nce(torch.zeros(2, 3), torch.zeros(2, 2)), "labels: expected bool"),
        (lambda: info_nce(torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool)), "with B = 2"),
        (lambda: info_nce(torch.zeros(6), torch.zeros(6, 2, dtype=torch.bool)), "codes: expected real values"),
        (lambda: info_nce_triplets(torch.zeros(7, 3)), "groups of 6 rows .* got 7 rows"),
        (lambda: info_nce_triplets(torch.zeros(6, 3, dtype=torch.int64)), "codes: expected real values"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(AvnasError, match=message):
        call()
