"""Scores of architectures, one after the other: each encodes all videos by itself, then ranks."""

import numpy as np
import torch

from avhash_nas.codes import pack
from avhash_nas.metrics import evaluate, ids_from_names


@torch.no_grad()
def codes(network, data, rows, architecture):
    """Packed codes of some videos, in batches of equal size as far as possible."""
    network.eval()
    packed = []
    for part in np.array_split(rows, -(-len(rows) // data.eval_batch_size)):
        batch = data.batch(part)
        packed.append(pack(network(batch.visual, batch.audio, network.space.indices(architecture))))
    return torch.cat(packed)


def scores(network, data, architectures, queries=None, database=None):
    """mAP@100 of each architecture in the three normalizations; all videos of val and of the database by default."""
    queries = data.splits["val"] if queries is None else queries
    database = data.splits[data.database] if database is None else database
    found = []
    for architecture in architectures:
        roles = []
        for rows in (queries, database):
            names = ids_from_names(data.ids[row] for row in rows)
            order = names.argsort()  # so that sums over queries come in the order of a validation
            labels = torch.from_numpy(data.labels[rows])
            roles.append((codes(network, data, rows, architecture)[order], labels[order], names[order]))
        (q, q_labels, q_ids), (d, d_labels, d_ids) = roles
        result = evaluate(q, q_labels, d, d_labels, ks=(100,), bits=network.bits, query_ids=q_ids, database_ids=d_ids)
        found.append(result.to_dict()["map@100"])
    return found
