"""Small networks and losses of BTH, DKPH and MCMSH, on videos whose anchors are given."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from avhash_nas.baselines import BTH, DKPH, MCMSH, BTHLoss, DKPHLoss, MCMSHLoss
from avhash_nas.baselines.anchored import AnchoredObjective
from avhash_nas.baselines.frame_network import FrameNetwork
from avhash_nas.data import Batch

METHODS: dict[str, tuple[Any, Any]] = {"bth": (BTH, BTHLoss), "dkph": (DKPH, DKPHLoss), "mcmsh": (MCMSH, MCMSHLoss)}
VIDEOS, FRAMES, VISUAL, AUDIO, BITS, WIDTH, ANCHORS = 40, 6, 7, 3, 12, 32, 16


def network_of(method: str, visual_dim: int = VISUAL, bits: int = BITS, **options: Any) -> FrameNetwork:
    """A network, the same each time."""
    kind, _ = METHODS[method]
    given = {"visual_dim": visual_dim, "audio_dim": AUDIO, "bits": bits, **options}
    if kind is not BTH:
        given.setdefault("frames", FRAMES)
    torch.manual_seed(0)
    network: FrameNetwork = kind(**given)
    return network


def data_of(videos: int = VIDEOS) -> Any:
    """As much of a dataset as a loss looks at; its training split is in disorder and not the first one."""
    rows = np.random.default_rng(0).permutation(videos) + 5
    return SimpleNamespace(ids=[f"v{row}" for row in range(videos + 5)], splits={"train": rows})


def prepared_for(method: str) -> dict[str, torch.Tensor]:
    """Videos around anchors."""
    random = np.random.default_rng(1)
    dims = VISUAL if method == "mcmsh" else WIDTH
    anchors = random.standard_normal((ANCHORS, dims))
    latents = anchors[random.integers(ANCHORS, size=VIDEOS)] + 0.5 * random.standard_normal((VIDEOS, dims))
    return {"latents": torch.from_numpy(latents.astype(np.float32)), "anchors": torch.from_numpy(anchors).float()}


def prepared_pair(method: str, **options: Any) -> tuple[FrameNetwork, AnchoredObjective]:
    """A network and its loss, without dropout and in double precision; no frame is masked unless it is asked for."""
    network = network_of(method, width=WIDTH, dropout=0.0)
    objective: AnchoredObjective = METHODS[method][1](anchors=ANCHORS, **{"mask_rate": 0.0, **options})
    objective.setup(data_of(), network, prepared_for(method))
    with torch.no_grad():
        for parameter in (*network.parameters(), *objective.parameters()):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double(), objective.double()


def batch_of(objective: AnchoredObjective, tuples: int) -> Batch:
    """Tuples as training draws them."""
    random = np.random.default_rng(2)
    anchors = random.choice(VIDEOS, tuples, replace=False)
    positions = np.concatenate([anchors[:, None], objective.draw(anchors, random)], axis=1).ravel()
    rows = torch.from_numpy(data_of().splits["train"][positions])
    features = torch.from_numpy(random.standard_normal((VIDEOS + 5, FRAMES, VISUAL + AUDIO)))[rows]
    return Batch(features[..., :VISUAL], features[..., VISUAL:], torch.zeros(len(rows), 1, dtype=torch.bool), rows)
