"""Both modalities at one scale."""

import torch

from avhash_nas.networks import side_by_side


def test_each_modality_is_scaled_to_mean_square_one():
    torch.manual_seed(0)
    visual, audio = torch.randn(2, 3, 8), torch.randn(2, 3, 5) * torch.tensor([[1e-3], [1.0], [1e3]])
    both = side_by_side(visual, audio)
    assert both.shape == (2, 3, 13)
    torch.testing.assert_close(both[..., :8].square().mean(-1), torch.ones(2, 3))
    torch.testing.assert_close(both[..., 8:].square().mean(-1), torch.ones(2, 3))
    torch.testing.assert_close(torch.cosine_similarity(both[..., 8:], audio, dim=-1), torch.ones(2, 3))
    torch.testing.assert_close(side_by_side(visual, 7 * audio), both)


def test_zero_features_stay_zero():
    visual, audio = torch.randn(2, 3), torch.zeros(2, 4, requires_grad=True)
    both = side_by_side(visual, audio)
    assert not both[:, 3:].any()
    both.sum().backward()
    assert torch.isfinite(audio.grad).all()
