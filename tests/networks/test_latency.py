"""The latency table: which cells share times, sums over architectures, files, and tables that do not fit."""

import json

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.networks.latency import LatencyTable, context
from avhash_nas.space import Cell, SearchSpace, load_space

SPACE = SearchSpace(
    (
        Cell("visual.M1", ("skip", "ffn")),
        Cell("visual.M3", ("skip", "ffn")),
        Cell("audio.M2", ("ffn", "skip")),
        Cell("T", ("self_ssm",)),
    )
)
TABLE = LatencyTable(
    network={"width": 4, "heads": 2, "states": 16, "rank": 4},
    expand=2,
    cells={"M@8": {"skip": 1.0, "ffn": 32.0}, "M@4": {"skip": 2.0, "ffn": 8.0}, "T@4": {"self_ssm": 0.5}},
    fixed={"visual": 100.0, "audio": 200.0, "hash": 0.25},
    conditions={"device": "cpu", "batch": 3},
    check=({"cells": {"T": "self_ssm"}, "table": 1.0, "measured": 2.0},),
)


def test_cells_of_one_kind_and_width_share_latencies():
    full = load_space("full")
    places = {cell.name: context(cell, 768, full.expand) for cell in full.cells}
    assert len(places) == 22
    assert sorted(set(places.values())) == [
        *("D@1536", "D@768", "F@768", "I@768", "M@1536", "M@768", "T@768", "U@1536", "U@768"),
    ]
    assert {places[f"{modality}.{leaf}"] for modality in ("visual", "audio") for leaf in ("M1", "M2")} == {"M@1536"}
    assert {places[f"{modality}.M3"] for modality in ("visual", "audio")} == {"M@768"}
    assert places["visual.U2"] == "U@1536"
    assert places["visual.U3"] == "U@768"
    assert context(full["visual.M1"], 768, None) == "M@768"  # without Up there is one width


def test_latencies_follow_the_order_of_candidates():
    assert TABLE.seconds(SPACE) == {
        **{"visual.M1": (1.0, 32.0), "visual.M3": (2.0, 8.0), "audio.M2": (32.0, 1.0), "T": (0.5,)},
    }


def test_architecture_latency_sums_cells_and_fixed_part():
    architecture = SPACE.architecture({"visual.M1": 1, "visual.M3": 0, "audio.M2": 1, "T": 0})
    assert TABLE.total(SPACE, architecture) == 300.25 + 32 + 2 + 1 + 0.5


def test_single_modality_counts_only_its_encoder():
    alone = SearchSpace((Cell("audio.M2", ("ffn", "skip")),))
    assert TABLE.fixed_seconds(alone) == 200.25


def test_table_round_trip(tmp_path):
    path = tmp_path / "latency.json"
    path.write_text(json.dumps(TABLE.to_dict()))
    assert LatencyTable.load(path) == TABLE


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (SearchSpace((Cell("visual.M1", ("skip",)),), expand=3), "it was measured at expand 2, the space has expand 3"),
        (SearchSpace((Cell("visual.U1", ("silu",)),)), "it has no time of silu at U@8, for cell visual.U1"),
        (
            SearchSpace((Cell("visual.M3", ("skip", "mlp", "conv3")),)),
            "it has no time of mlp, conv3 at M@4, for cell visual.M3",
        ),
    ],
)
def test_unmeasured_space_is_refused(space, message):
    with pytest.raises(AvnasError, match=message):
        TABLE.seconds(space)


def test_unmeasured_modality_is_refused():
    alone = LatencyTable(TABLE.network, 2, TABLE.cells, {"audio": 1.0, "hash": 1.0})
    with pytest.raises(AvnasError, match="it was measured without the visual encoder"):
        alone.fixed_seconds(SPACE)


def test_network_of_other_sizes_is_refused():
    TABLE.check_network({"width": 4, "heads": 2, "states": 16, "rank": 4, "dropout": 0.3})
    TABLE.check_network({"hidden": 3})
    for name, size in TABLE.network.items():
        with pytest.raises(AvnasError, match=f"it was measured at {name} {size}, the network has 7"):
            TABLE.check_network({**TABLE.network, name: 7})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "no latency table of format 1; `avnas latency --out .*` writes one"),
        ({"cells": 3}, "a damaged latency table"),
        ({"cells": {"M@8": {"skip": -1.0}}}, "a damaged latency table: ValueError: skip takes -1.0 seconds"),
        ({"cells": {"M@8": {"skip": "1"}}}, "a damaged latency table"),
        ({"cells": {"M@8": {"skip": float("nan")}}}, "a damaged latency table: ValueError: skip takes nan seconds"),
        ({"network": {"width": 4}}, "a damaged latency table: KeyError: 'heads'"),
        ({"fixed": None}, "a damaged latency table"),
    ],
)
def test_file_without_a_table_is_refused(tmp_path, change, message):
    path = tmp_path / "latency.json"
    path.write_text(json.dumps({**TABLE.to_dict(), **change}))
    with pytest.raises(AvnasError, match=f"{path}: {message}"):
        LatencyTable.load(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(AvnasError, match=r"none\.json: cannot be read: No such file"):
        LatencyTable.load(tmp_path / "none.json")
