"""The network's wiring against Eq. 3-5, 12-14, 33 and 34, its sizes against the paper, and what it refuses."""

import pytest
import torch
from torch import nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork, Mixture
from avhash_nas.space import Cell, SearchSpace, load_space
from reference.networks_encoder import audio_visual, encoder


def test_encoders_equal_eq_3_to_5(supernet, features, architectures):
    for architecture in architectures:
        route = supernet.space.indices(architecture)
        for modality, inner in (("visual", features[0]), ("audio", supernet.audio_input(features[1]))):
            encoded = supernet.get_submodule(modality)(inner, route)
            assert torch.equal(encoded, encoder(supernet, modality, inner, architecture))


def test_network_equals_eq_12_to_14_33_and_34(supernet, features, architectures):
    codes = set()
    for architecture in architectures:
        code = supernet(*features, supernet.space.indices(architecture))
        assert torch.equal(code, audio_visual(supernet, *features, architecture))
        assert code.abs().max() < 1
        codes.add(tuple(code.flatten().tolist()))
    assert len(codes) == len(architectures)


@pytest.mark.parametrize(
    ("preset", "millions"),
    [("arch-1", 42.7), ("arch-2", 40.5), ("arch-1-visual", 23.7), ("arch-2-visual", 21.4), ("arch-audio", 22.7)],
)
def test_parameter_counts_equal_the_paper(preset, millions):
    """Table 2, which truncates to 0.1 M, at D = 768 and 64 bits, both inputs 768 wide."""
    with torch.device("meta"):
        network = AudioVisualNetwork(768, 768, 64, load_space(preset))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count // 100_000 / 10 == millions


def test_input_layer_exists_only_if_widths_differ(make):
    network = make(visual_dim=8, audio_dim=6)
    assert not list(network.visual_input.parameters())
    assert network.audio_input[1].weight.shape == (8, 6)


def test_input_dropout_is_elementwise(make, features):
    network = make("arch-1", input_dropout=0.5)
    torch.manual_seed(0)
    kept = network.visual_input(torch.ones(2, 5, 8))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert network.eval().visual_input(torch.ones(2, 5, 8)).eq(1).all()


@pytest.mark.parametrize(("preset", "ignored"), [("visual", 1), ("audio", 0)])
def test_a_network_of_one_modality_ignores_the_other_input(make, features, preset, ignored):
    network = make(preset).double().eval()
    route = {cell.name: 1 for cell in network.space.choices}
    expected = network(*features, route)
    changed = list(features)
    changed[ignored] = torch.randn(3, 2, 99, dtype=torch.float64)
    assert torch.equal(network(*changed, route), expected)
    changed[1 - ignored] = 2 * features[1 - ignored]
    assert not torch.equal(network(*changed, route), expected)


def test_single_modality_uses_self_fusion(make, features):
    """Section 5.3 of the paper: the encoder, S, T, hash layer."""
    network = make("arch-1-visual").double().eval()
    choices = network.space.only()
    fused = network.S.operators["self_attention"](encoder(network, "visual", features[0], choices))
    expected = network.hash(network.T.operators["self_ssm"](fused))
    torch.testing.assert_close(network(*features), expected, rtol=0, atol=1e-12)


def test_without_expansion_there_is_no_up_and_down(make):
    network = make("transformer")
    maps = [network.visual.up, network.visual.up_gate, network.visual.down]
    assert all(isinstance(module, nn.Identity) for module in maps)
    assert network.visual.M1.operators["self_attention"](torch.zeros(1, 2, 8)).shape == (1, 2, 8)
    assert network.visual.M2.operators["mlp"](torch.zeros(1, 2, 8)).shape == (1, 2, 8)


@pytest.mark.parametrize("expand", [1, 2, 3])
def test_up_and_down_start_orthogonal_without_bias_and_set_inner_width(make, expand):
    network = make(SearchSpace(load_space("mamba").cells, expand))
    up, down = network.visual.up.weight, network.visual.down.weight
    assert up.shape == network.visual.up_gate.weight.shape == (8 * expand, 8)
    torch.testing.assert_close(up.T @ up, torch.eye(8))
    torch.testing.assert_close(down @ down.T, torch.eye(8))
    assert network.visual.up.bias is network.visual.up_gate.bias is network.visual.down.bias is None
    assert network.visual.M2.operators["self_ssm"].D.shape == (8 * expand,)


def test_number_of_time_steps_may_vary(make):
    network = make("arch-1").eval()
    for frames in (1, 2, 7):
        assert network(torch.randn(2, frames, 8), torch.randn(2, frames, 6)).shape == (2, 12)


def test_codes_do_not_depend_on_the_batch(supernet, features, architectures):
    for architecture in architectures[:8]:
        route = supernet.space.indices(architecture)
        whole = supernet(*features, route)
        alone = supernet(features[0][1:2], features[1][1:2], route)
        torch.testing.assert_close(whole[1:2], alone, rtol=0, atol=1e-12)


def test_a_supernet_needs_a_route_for_every_choice(supernet, features):
    with pytest.raises(AvnasError, match=r"cell visual\.M1 has 8 candidates: the route has to choose"):
        supernet(*features)
    route = {cell.name: 0 for cell in supernet.space.cells if cell.name != "F"}
    with pytest.raises(AvnasError, match="cell F has 2 candidates: the route has to choose"):
        supernet(*features, route)


def test_cells_without_a_choice_need_no_route(make, features):
    full = load_space("full")
    cells = tuple(cell if cell.name == "visual.M3" else Cell(cell.name, cell.candidates[:1]) for cell in full.cells)
    network = make(SearchSpace(cells)).double().eval()
    one = network(*features, {"visual.M3": 3})
    assert not torch.equal(one, network(*features, {"visual.M3": Mixture(torch.full((8,), 0.125))}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: [*cells, Cell("visual.M4", ("skip",))], r"the network has no place for visual\.M4"),
        (lambda cells: [*cells, Cell("S", ("self_ssm",))], "the network has no place for S"),
        (
            lambda cells: [cell for cell in cells if cell.name not in ("F", "audio.U1")],
            r"the network needs F, audio\.U1",
        ),
        (lambda cells: [cell for cell in cells if cell.modality is None], "it has no encoder; name cells like visual"),
        (lambda cells: [cell for cell in cells if cell.modality != "audio"], "no place for F, I1, I2"),
    ],
)
def test_cells_that_do_not_fit_the_graph_are_refused(make, change, message):
    with pytest.raises(AvnasError, match=message):
        make(SearchSpace(tuple(change(load_space("full").cells))))


def test_heads_must_divide_the_width(make):
    with pytest.raises(AvnasError, match="3 heads do not divide the width 16"):
        make("arch-1", heads=3)


def test_arguments_rebuild_the_same_network(make):
    network = make("arch-2", input_dropout=0.1, dropout=0.2, head_hidden=5, head_dropout=0.3, balance=True)
    again = AudioVisualNetwork.from_arguments(network.arguments())
    assert repr(again) == repr(network)
    assert again.arguments() == network.arguments()
    assert again.head is again.hash
