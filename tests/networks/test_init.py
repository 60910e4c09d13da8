import torch

from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.space import Cell, SearchSpace, load_space


def simplest() -> SearchSpace:
    """Skips and sums wherever the space has them; attention and Mamba blocks, which have a residual, elsewhere."""
    simple = {"M": "skip", "U": "skip", "D": "add", "I": "cross_attention", "F": "add", "T": "self_ssm"}
    return SearchSpace(tuple(Cell(cell.name, (simple[cell.kind],)) for cell in load_space("full").cells))


def test_identity_init_passes_the_pooled_input_to_the_hash_layer() -> None:
    torch.manual_seed(0)
    network = AudioVisualNetwork(64, 64, 16, simplest(), width=64, heads=4, identity_init=True).eval().double()
    visual, audio = torch.randn(5, 7, 64).double(), torch.randn(5, 7, 64).double()
    seen: list[torch.Tensor] = []
    network.hash.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(visual, audio)
    # Each encoder doubles its input (D2 adds E1 to itself), and each interaction ends in a LayerNorm.
    norm = torch.nn.functional.layer_norm
    expected = norm(2 * visual, (64,)) + norm(2 * audio, (64,))
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-5)  # drawn orthogonal in float32


def test_default_init_is_not_the_identity() -> None:
    torch.manual_seed(0)
    network = AudioVisualNetwork(64, 64, 16, simplest(), width=64, heads=4).eval().double()
    visual = torch.randn(5, 7, 64).double()
    assert not torch.allclose(network.visual(visual, None), 2 * visual, rtol=0.1)


def test_every_route_trains_after_identity_init() -> None:
    torch.manual_seed(0)
    space = load_space("full")
    network = AudioVisualNetwork(32, 48, 16, space, width=32, heads=4, identity_init=True, balance=True)
    route = {cell.name: len(cell.candidates) - 1 for cell in space.cells}
    network(torch.randn(6, 5, 32), torch.randn(6, 5, 48), route).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert network.T.operators["self_ssm"].mixer.out_proj.weight.grad.abs().sum() > 0
