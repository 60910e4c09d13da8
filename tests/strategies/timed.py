"""A small space with a made-up latency table."""

import json

from avhash_nas.networks.latency import LatencyTable
from avhash_nas.space import Cell, SearchSpace

SMALL = SearchSpace(
    (
        Cell("visual.M1", ("skip", "conv3", "conv4", "ffn", "mlp")),
        Cell("visual.U1", ("skip", "silu", "layer_norm")),
        Cell("visual.U2", ("silu",)),
        Cell("F", ("add", "gated_attention")),
    )
)
TIMES = {
    "M@8": {"skip": 0.0, "conv3": 1.0, "conv4": 2.0, "ffn": 7.0, "mlp": 3.0},
    "U@8": {"skip": 0.0, "silu": 0.5, "layer_norm": 0.75},
    "F@4": {"add": 0.25, "gated_attention": 1.5},
}


def table(cells=TIMES, **network):
    sizes = {"width": 4, "heads": 2, "states": 2, "rank": 2, **network}
    return LatencyTable(network=sizes, expand=2, cells=cells, fixed={"visual": 4.0, "audio": 3.0, "hash": 1.0})


def write(path, latency_table):
    path.write_text(json.dumps(latency_table.to_dict()))
    return str(path)
