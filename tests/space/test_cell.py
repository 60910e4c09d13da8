"""One cell: its name, its kind and its candidates."""

import dataclasses

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.space import Cell
from avhash_nas.space.cell import reading_order


@pytest.mark.parametrize(
    ("name", "kind", "modality"),
    [("visual.M1", "M", "visual"), ("audio.U4", "U", "audio"), ("I2", "I", None), ("F", "F", None), ("T", "T", None)],
)
def test_name_determines_kind_and_modality(name, kind, modality):
    cell = Cell(name, ("skip",))
    assert (cell.kind, cell.modality) == (kind, modality)


@pytest.mark.parametrize("name", ["", "visual", "visual.", "visual.m1", "text.M1", "M1.visual", "visual.M1x", "MM"])
def test_malformed_names_are_rejected(name):
    with pytest.raises(AvnasError, match=r"cell name '.*': write it like 'visual.M1'"):
        Cell(name, ("skip",))


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ((), "cell F: name at least one candidate"),
        (("add", "add"), r"cell F: a candidate is named twice in \['add', 'add'\]"),
        ("add", "cell F: expected a list of candidates' names, got 'add'"),
        (("add", 3), "cell F: expected a list of candidates' names"),
    ],
)
def test_invalid_candidates_are_rejected(candidates, message):
    with pytest.raises(AvnasError, match=message):
        Cell("F", candidates)


def test_index_of_a_candidate():
    cell = Cell("D1", ("add", "hadamard"))
    assert [cell.index(name) for name in cell.candidates] == [0, 1]
    with pytest.raises(AvnasError, match="cell D1 has no candidate 'mlp'; it has add, hadamard"):
        cell.index("mlp")


def test_cells_compare_by_value():
    """A list, as in YAML, gives the same cell as a tuple."""
    cell = Cell("F", ["add", "gated_attention"])
    assert cell == Cell("F", ("add", "gated_attention"))
    assert len({cell, Cell("F", ("add", "gated_attention")), Cell("F", ("gated_attention", "add"))}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.name = "T"


def test_cells_sort_in_reading_order():
    order = ("visual.M1", "visual.D2", "visual.U4", "audio.M1", "audio.U4", "S", "I1", "I2", "F", "T", "X9")
    backwards = list(order[::-1])
    assert tuple(sorted(backwards, key=reading_order)) == order
