"""The named spaces, held against the numbers that the paper and the authors' code give."""

import json

import pytest

from avhash_nas.operators import find_operator
from avhash_nas.space import SearchSpace, load_space, presets

BOTH = ("arch_1", "arch_2", "authors", "full", "mamba", "transformer", "transformer_plus")


@pytest.mark.parametrize("name", presets.__all__)
def test_every_preset_loads_by_name_and_survives_json(name):
    space = load_space(name)
    assert load_space(name.replace("_", "-")) == space
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@pytest.mark.parametrize("name", presets.__all__)
def test_every_candidate_is_an_operator_of_its_kind(name):
    for cell in load_space(name).cells:
        for candidate in cell.candidates:
            assert cell.kind in find_operator(cell.kind, candidate).kinds


def test_the_list_of_presets_is_complete():
    functions = {
        name
        for name, item in vars(presets).items()
        if callable(item) and getattr(item, "__module__", "") == presets.__name__ and not name.startswith("_")
    }
    assert functions == set(presets.__all__)


def test_sizes():
    assert load_space("full").size == 440_301_256_704
    assert load_space("full").size_kernels_merged == 78_364_164_096  # the paper: "over 7.83 x 10^10"
    assert load_space("authors").size == 17_179_869_184 == 2**34


@pytest.mark.parametrize("name", ["full", "authors"])
def test_the_whole_space_has_the_papers_22_cells(name):
    space = load_space(name)
    assert len(space.cells) == len(space.choices) == 22
    assert space.expand == 2
    assert space.modalities == ("visual", "audio")
    kinds = [cell.kind for cell in space.cells]
    assert {kind: kinds.count(kind) for kind in "MUDIFT"} == {"M": 6, "U": 8, "D": 4, "I": 2, "F": 1, "T": 1}


def test_the_candidates_of_table_1():
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
def test_one_modality_has_self_fusion_in_place_of_interaction_and_fusion(name):
    space = load_space(name)
    assert space.modalities == (("audio",) if "audio" in name else ("visual",))
    behind = {cell.name for cell in space.cells if cell.modality is None}
    assert behind == {"S", "T"}


@pytest.mark.parametrize("name", [name for name in presets.__all__ if name.startswith(("arch", "mamba", "trans"))])
def test_what_experts_or_a_search_found_leaves_no_choice(name):
    assert load_space(name).size == 1


def test_only_the_plain_transformer_lacks_up_and_down():
    """Table 3 of the paper: Transformer against Transformer+."""
    without = {name for name in presets.__all__ if load_space(name).expand is None}
    assert without == {"transformer"}
    assert load_space("transformer").cells == load_space("transformer-plus").cells
