"""Search spaces: sizes, conversion to architectures and back, uniform sampling, JSON."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.space import Architecture, Cell, SearchSpace, load_space

NAMES = ("visual.M1", "visual.U1", "visual.D2", "audio.M1", "audio.U3", "I1", "F", "T")
CANDIDATES = ("skip", "silu", "add", "conv3", "conv4", "ffn", "package.module.Mine")


@st.composite
def spaces(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    candidates = st.lists(st.sampled_from(CANDIDATES), min_size=1, unique=True)
    cells = tuple(Cell(name, tuple(draw(candidates))) for name in names)
    return SearchSpace(cells, draw(st.none() | st.integers(1, 4)))


@st.composite
def spaces_with_indices(draw):
    space = draw(spaces())
    return space, {cell.name: draw(st.integers(0, len(cell.candidates) - 1)) for cell in space.cells}


@given(spaces_with_indices())
def test_indices_architecture_and_fix_are_inverse(drawn):
    space, indices = drawn
    architecture = space.architecture(indices)
    assert space.indices(architecture) == indices
    fixed = space.fix(architecture)
    assert fixed.size == 1
    assert fixed.choices == ()
    assert fixed.expand == space.expand
    assert fixed.only() == architecture
    assert fixed.fix(architecture) == fixed


@given(spaces())
def test_json_round_trip(space):
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


@given(spaces())
def test_order_of_cells_does_not_matter(space):
    again = SearchSpace(tuple(reversed(space.cells)), space.expand)
    assert again == space
    assert hash(again) == hash(space)


@given(spaces())
def test_size_is_the_number_of_architectures(space):
    if space.size <= 500:
        ranges = [range(len(cell.candidates)) for cell in space.cells]
        names = [cell.name for cell in space.cells]
        all_of_them = {
            space.architecture(dict(zip(names, indices, strict=True))) for indices in itertools.product(*ranges)
        }
        assert len(all_of_them) == space.size


def test_size_with_merged_kernels():
    space = SearchSpace((Cell("visual.M1", ("skip", "conv3", "conv4", "conv5")), Cell("F", ("add", "gated_attention"))))
    assert (space.size, space.size_kernels_merged) == (8, 4)


def test_sampling_is_uniform():
    """Chi-square of every cell's counts and of the counts of whole architectures, each at an error of 1e-6."""
    space = SearchSpace((Cell("visual.M1", tuple("abcdefgh")), Cell("visual.U1", tuple("abc")), Cell("T", tuple("ab"))))
    generator = np.random.default_rng(0)
    routes = [space.indices(space.sample(generator)) for _ in range(6_000)]
    drawn = np.array([[route[cell.name] for cell in space.cells] for route in routes])
    for column, cell in enumerate(space.cells):
        assert p_value(np.bincount(drawn[:, column], minlength=len(cell.candidates))) > 1e-6
    assert p_value(np.bincount(drawn @ [6, 2, 1], minlength=48)) > 1e-6
    assert p_value(np.bincount(np.minimum(drawn[:, 0], 6), minlength=8)) < 1e-6  # the last is never drawn


def p_value(counts):
    """The p-value of equal counts by a chi-square test."""
    expected = counts.sum() / len(counts)
    statistic = torch.tensor(((counts - expected) ** 2 / expected).sum(), dtype=torch.float64)
    freedom = torch.tensor(len(counts) - 1, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom / 2, statistic / 2))


def test_sampling_depends_only_on_the_generator():
    space = load_space("full")
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    assert [space.sample(one) for _ in range(5)] == [space.sample(other) for _ in range(5)]
    assert len({space.sample(one) for _ in range(5)}) == 5


def test_modalities_and_choices():
    space = SearchSpace((Cell("F", ("add",)), Cell("audio.M1", ("skip", "mlp")), Cell("T", ("self_ssm",))))
    assert space.modalities == ("audio",)
    assert [cell.name for cell in space.choices] == ["audio.M1"]
    assert "F" in space
    assert "visual.M1" not in space


SPACE = SearchSpace((Cell("visual.M1", ("skip", "ffn")), Cell("F", ("add", "gated_attention"))))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"visual.M1": "skip"}, "architecture: cell F is missing"),
        ({"visual.M1": "skip", "F": "mul"}, "cell F has no candidate 'mul'; it has add, gated_attention"),
        ({"visual.M1": "skip", "F": "add", "T": "x"}, "search space has no cell 'T'; it has visual.M1, F"),
    ],
)
@pytest.mark.parametrize("method", ["check", "indices", "fix"])
def test_foreign_architectures_are_rejected(method, choices, message):
    with pytest.raises(AvnasError, match=message):
        getattr(SPACE, method)(Architecture(choices))


def test_only_rejects_a_space_with_choices():
    with pytest.raises(AvnasError, match="search space holds 4 architectures, not one"):
        SPACE.only()


def test_duplicate_cells_are_rejected():
    with pytest.raises(AvnasError, match="a cell is named twice"):
        SearchSpace((Cell("F", ("add",)), Cell("F", ("gated_attention",))))


@pytest.mark.parametrize("expand", [0, -1, 1.5, "2", True])
def test_invalid_expand_is_rejected(expand):
    with pytest.raises(AvnasError, match="expand must be a whole number of at least 1, or null, not"):
        SearchSpace((Cell("F", ("add",)),), expand)


def test_load_space_from_a_file(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps(SPACE.to_dict()))
    assert load_space(path) == load_space(str(path)) == SPACE
    architecture = Architecture({"visual.M1": "ffn", "F": "add"})
    path.write_text(json.dumps(architecture.to_dict()))
    assert load_space(path).only() == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cells": {"F": 3}}', "cell F: expected a list of candidates' names, got 3"),
        ('{"cells": {"F": [1, 2]}}', "cell F: expected a list of candidates' names"),
        ('{"cells": {"F": []}}', "cell F: name at least one candidate"),
        ('{"cells": {"f": ["add"]}}', "cell name 'f': write it like"),
        ('{"cells": {"F": ["add"]}, "expand": "2"}', "expand must be a whole number"),
        ('{"cells": 1}', 'search space: expected {"expand": 2'),
        ("{}", 'search space: expected {"expand": 2'),
    ],
)
def test_errors_name_the_file(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(AvnasError, match=rf"mine\.json: .*{message}"):
        load_space(path)


def test_unknown_space_is_reported():
    with pytest.raises(AvnasError, match=r"unknown space 'fll': use a preset \(.*full.*\) or a \.json file"):
        load_space("fll")
    with pytest.raises(AvnasError, match=r"absent\.json: cannot be read"):
        load_space("absent.json")
