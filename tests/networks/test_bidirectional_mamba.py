import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.networks.bidirectional_mamba import BidirectionalMamba


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(3, 6, 8, dtype=torch.float64)


def make(**options):
    torch.manual_seed(2)
    layer = BidirectionalMamba(8, **options).double()
    for norm in (layer.forward_norm, layer.backward_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    return layer


@pytest.mark.parametrize("tied", [False, True])
def test_layer_adds_both_directions(x, tied):
    layer = make(tied=tied)
    back = layer.forward_mixer if tied else layer.backward_mixer
    ahead = layer.forward_mixer(layer.forward_norm(x))
    reverse = torch.arange(5, -1, -1)
    behind = back(layer.backward_norm(x[:, reverse]))[:, reverse]
    torch.testing.assert_close(layer(x), x + ahead + behind)


def test_outputs_depend_on_past_and_future(x):
    layer = make()
    changed = x.clone()
    changed[:, 3] *= -1
    moved = (layer(changed) - layer(x)).abs().amax(dim=(0, 2))
    assert (moved > 1e-9).all()


def test_tied_directions_share_one_trained_mixer(x):
    layer, untied = make(tied=True), make()
    mixer = sum(parameter.numel() for parameter in layer.forward_mixer.parameters())
    count = {each: sum(p.numel() for p in each.parameters()) for each in (layer, untied)}
    assert count[untied] - count[layer] == mixer
    alone = torch.autograd.grad(
        layer.forward_mixer(layer.forward_norm(x)).square().sum(), layer.forward_mixer.A_log, retain_graph=True
    )[0]
    both = torch.autograd.grad((layer(x) - x).square().sum(), layer.forward_mixer.A_log)[0]
    assert not torch.allclose(alone, both)


def test_drop_path_skips_whole_videos_in_training_only(x):
    layer = make(drop_path=0.5)
    wide = x[:1].expand(400, -1, -1)
    torch.manual_seed(0)
    branch = layer.train()(wide) - wide
    kept = branch.abs().amax(dim=(1, 2)) > 0
    assert 150 < kept.sum() < 250
    layer.eval()
    torch.testing.assert_close(branch[kept], 2 * (layer(wide) - wide)[kept])


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_path_out_of_range_is_refused(rate):
    with pytest.raises(AvnasError, match=r"drop_path must be in \[0, 1\)"):
        BidirectionalMamba(8, drop_path=rate)
