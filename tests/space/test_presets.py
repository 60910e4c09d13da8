"""Presets against the numbers in the paper and the authors' code."""

import json

import pytest

from avhash_nas.operators import find_operator
from avhash_nas.space import SearchSpace, load_space, presets

BOTH = ("arch_1", "arch_2", "authors", "full", "mamba", "transformer", "transformer_plus")


@pytest.mark.parametrize("name", presets.__all__)
def test_presets_load_by_name_and_round_trip(name):
    space = load_space(name)
    assert load_space(name.replace("_", "-")) == space
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize("name", presets.__all__)
def test_candidates_are_operators_of_their_kind(name):
    for cell in load_space(name).cells:
        for candidate in cell.candidates:
            assert cell.kind in find_operator(cell.kind, candidate).kinds


def test_all_presets_are_exported():
    functions = {
        name
        for name, item in vars(presets).items()
        if callable(item) and getattr(item, "__module__", "") == presets.__name__ and not name.startswith("_")
    }
    assert functions - {"load_space"} == set(presets.__all__)


def test_sizes():
    assert load_space("full").size == 440_301_256_704
    assert load_space("full").size_kernels_merged == 78_364_164_096  # the paper: "over 7.83 x 10^10"
    assert load_space("authors").size == 17_179_869_184 == 2**34


@pytest.mark.parametrize("name", ["full", "authors"])
def test_full_space_has_22_cells(name):
    space = load_space(name)
    assert len(space.cells) == len(space.choices) == 22
    assert space.expand == 2
    assert space.modalities == ("visual", "audio")
    kinds = [cell.kind for cell in space.cells]
    assert {kind: kinds.count(kind) for kind in "MUDIFT"} == {"M": 6, "U": 8, "D": 4, "I": 2, "F": 1, "T": 1}


def test_candidates_match_table_1():
    space = load_space("full")
    assert space["visual.M1"].candidates == (
        *("skip", "self_attention", "self_ssm", "conv3", "conv4", "conv5", "mlp", "ffn"),
    )
    assert space["audio.U3"].candidates == ("skip", "silu", "layer_norm")
    assert space["audio.D2"].candidates == ("add", "hadamard")
    assert space["I1"].candidates == space["I2"].candidates == ("cross_attention", "cross_ssm")
    assert space["F"].candidates == ("add", "gated_attention")
    assert space["T"].candidates == ("self_attention", "self_ssm")


@pytest.mark.parametrize("name", sorted(set(presets.__all__) - set(BOTH)))
def test_single_modality_spaces_use_self_fusion(name):
    space = load_space(name)
    assert space.modalities == (("audio",) if "audio" in name else ("visual",))
    behind = {cell.name for cell in space.cells if cell.modality is None}
    assert behind == {"S", "T"}


@pytest.mark.parametrize("name", [name for name in presets.__all__ if name.startswith(("arch", "mamba", "trans"))])
def test_named_architectures_have_no_choices(name):
    assert load_space(name).size == 1


def test_only_transformer_has_no_expansion():
    """Table 3 of the paper: Transformer against Transformer+."""
    without = {name for name in presets.__all__ if load_space(name).expand is None}
    assert without == {"transformer"}
    assert load_space("transformer").cells == load_space("transformer-plus").cells
