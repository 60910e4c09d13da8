"""Measuring: every candidate of every context once, medians for one video, the operators of real networks."""

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.networks import latency
from avhash_nas.networks.latency import context, measure_latency, measure_network, representatives
from avhash_nas.space import Cell, SearchSpace, load_space
from reference.ticking import clock

SIZES = {"visual_dim": 6, "audio_dim": 5, "bits": 8, "width": 4, "heads": 2, "states": 3, "rank": 2}
QUICK, SLOW = "reference.ticking.Quick", "reference.ticking.Slow"


@pytest.fixture
def known_times(monkeypatch):
    """Time passes only in the operators that say how long they take."""
    monkeypatch.setattr(latency.time, "perf_counter", clock.read)


def with_cells(**changes):
    """The full space with a single candidate in every cell but some."""
    changed = {name.replace("_", "."): candidates for name, candidates in changes.items()}
    full = load_space("full")
    return SearchSpace(
        tuple(Cell(cell.name, changed.get(cell.name, cell.candidates[:1])) for cell in full.cells), full.expand
    )


def test_representatives_merge_candidates_of_a_context():
    space = with_cells(visual_M1=("skip", "ffn"), audio_M2=("conv3", "skip"), visual_M3=("mlp",))
    found = representatives(space, 4)
    assert found["M@8"] == Cell("visual.M1", ("skip", "ffn", "conv3"))
    assert found["M@4"] == Cell("visual.M3", ("mlp", "skip"))
    assert len(found) == 9


def test_latency_is_the_median_per_video(known_times):
    space = with_cells(visual_M1=(QUICK, SLOW), visual_U3=("skip", SLOW), F=(SLOW, "add"))
    table = measure_latency(space, SIZES, batch=5, frames=3, repeats=9, warmup=2)
    assert table.cells["M@8"] == {QUICK: 2 / 5, SLOW: 8 / 5, "skip": 0.0}
    assert table.cells["U@4"] == {"skip": 0.0, SLOW: 4 / 5}
    assert table.cells["F@4"] == {SLOW: 4 / 5, "add": 0.0}
    assert table.fixed == {"visual": 0.0, "audio": 0.0, "hash": 0.0}
    assert table.network == {"width": 4, "heads": 2, "states": 3, "rank": 2}
    assert table.conditions == {"device": "cpu", "batch": 5, "frames": 3, "repeats": 9, "dtype": "float32"}


def test_measured_network_is_recorded_with_the_sum_of_the_table(known_times):
    space = with_cells(visual_M1=("skip", SLOW), visual_U3=("skip", SLOW))
    table = measure_latency(space, SIZES, batch=5, frames=3, repeats=3, warmup=1)
    slow = space.architecture({cell.name: len(cell.candidates) - 1 for cell in space.cells})
    checked = measure_network(measure_network(table, space, slow, SIZES), space, slow, SIZES)
    assert table.check == ()
    assert [each["table"] for each in checked.check] == pytest.approx([12 / 5, 12 / 5])
    assert [each["measured"] for each in checked.check] == pytest.approx([12 / 5, 12 / 5])
    assert checked.check[0]["cells"] == dict(slow)


@pytest.mark.parametrize("preset", ["full", "authors", "audio", "transformer"])
def test_measured_table_covers_its_space(preset):
    space = load_space(preset)
    table = measure_latency(space, SIZES, batch=2, frames=3, repeats=1, warmup=0)
    table.check_network(SIZES)
    assert table.seconds(space).keys() == {cell.name for cell in space.cells}
    assert table.fixed_seconds(space) > 0
    assert set(table.cells) == {context(cell, 4, space.expand) for cell in space.cells}
    assert all(seconds > 0 for times in table.cells.values() for seconds in times.values())


def test_progress_is_called_after_every_timing():
    told = []
    space = with_cells(visual_M1=("skip", "ffn", "mlp"))
    measure_latency(space, SIZES, batch=2, frames=3, repeats=2, warmup=1, progress=lambda *counts: told.append(counts))
    each = 9 + 2 + 3  # one candidate of every context, two more in M1, two encoders and the hash layer
    assert told == [(done, 3 * each) for done in range(1, 3 * each + 1)]


def test_invalid_sizes_are_refused():
    with pytest.raises(AvnasError, match="3 heads do not divide the width 8"):
        measure_latency(load_space("full"), {**SIZES, "heads": 3}, batch=2, frames=3, repeats=1)
