"""What the losses of BTH, DKPH and MCMSH are put together from, against loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.objectives import anchor_alignment, mask_frames, pair_similarity, quadruplet, triplet_margin
from avhash_nas.objectives.frame_masking import masked
from reference import objectives_anchored as oracle


def drawn(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@given(st.integers(0, 2**20), st.integers(1, 6), st.integers(1, 9))
def test_pairs_alignment_and_quadruplets_equal_the_reference(seed, count, bits):
    codes = drawn(seed, 4, count, bits).tanh()
    similarity = drawn(seed + 1, count).sign()
    pairs = oracle.pair_similarity(codes[0].tolist(), codes[1].tolist(), similarity.tolist())
    assert pair_similarity(codes[0], codes[1], similarity).item() == pytest.approx(pairs, rel=1e-9, abs=1e-12)
    alignment = oracle.anchor_alignment(codes[0].tolist(), codes[1].tolist())
    assert anchor_alignment(codes[0], codes[1]).item() == pytest.approx(alignment, rel=1e-9, abs=1e-12)
    quadruplets = oracle.quadruplet(codes.transpose(0, 1).tolist())
    assert quadruplet(*codes).item() == pytest.approx(quadruplets, rel=1e-9, abs=1e-12)


def test_gradients_are_correct():
    codes = drawn(0, 4, 3, 8).requires_grad_()
    torch.autograd.gradcheck(lambda c: quadruplet(*c), codes)
    torch.autograd.gradcheck(lambda c: pair_similarity(c[0], c[1], torch.tensor([1.0, -1.0, 1.0])), codes)
    torch.autograd.gradcheck(lambda c: anchor_alignment(c[0], c[1]), codes)


def test_range_of_pair_similarity():
    code = torch.tensor([[1.0, -1.0, 1.0]])
    assert pair_similarity(code, code, torch.ones(1)) == pair_similarity(code, -code, -torch.ones(1)) == 0
    assert pair_similarity(code, -code, torch.ones(1)) == pair_similarity(code, code, -torch.ones(1)) == 4


def test_hinge_is_zero_beyond_the_margin():
    near, far = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 1.5, 0.0])
    assert triplet_margin(near, far, 0.5).tolist() == [0, 0, 1.5]


@given(st.integers(0, 2**20), st.floats(0, 1), st.integers(1, 3), st.integers(1, 5))
def test_masking_equals_the_reference_and_keeps_its_input(seed, rate, videos, steps):
    random = np.random.default_rng(seed)
    frames = drawn(seed, videos, steps, 2)
    chance = torch.from_numpy(random.random((videos, steps)))
    donors = torch.from_numpy(random.integers(videos * steps, size=(videos, steps)))
    before = frames.clone()
    spoilt = mask_frames(frames, chance, donors, rate)
    expected = oracle.mask_frames(frames.tolist(), chance.tolist(), donors.tolist(), rate)
    assert spoilt.tolist() == expected
    assert torch.equal(frames, before)


def test_frames_are_masked_at_the_published_rates():
    frames = torch.arange(1.0, 200 * 500 + 1).view(200, 500, 1)
    torch.manual_seed(0)
    spoilt = masked(frames)
    zeros = (spoilt == 0).double().mean().item()
    others = ((spoilt != 0) & (spoilt != frames)).double().mean().item()
    deviation = (0.12 * 0.88 / 100_000) ** 0.5
    assert zeros == pytest.approx(0.15 * 0.8, abs=5 * deviation)
    assert others == pytest.approx(0.15 * 0.1, abs=5 * deviation)
    assert torch.isin(spoilt, frames).logical_or(spoilt == 0).all()
