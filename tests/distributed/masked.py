"""What the tests of objectives on masked views let ranks compute."""

from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor

from avhash_nas import objectives
from avhash_nas.baselines import S5VH
from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives.masked_views import MaskedViews, masked_views
from distributed.tasks import SIZES, share


def derivatives(rank: int, kind: str) -> dict[str, Tensor]:
    """Loss, gradients and pseudo-labels of one step on eight videos, of whose views every rank has its share."""
    torch.manual_seed(1)
    network = S5VH(5, 3, 8, size="mini", width=16).train()
    options = {"clusters": 3, "warmup": 0, "smoothing": 0.3} if kind == "SLG" else {"decoder_heads": 2}
    objective = getattr(objectives, kind)(decoder_width=8, **options)
    videos = sum(SIZES)
    data = SimpleNamespace(visual_dim=5, audio_dim=3, frames=6, splits={"train": torch.arange(videos).numpy()})
    prepared = {"centers": torch.randn(3, 8).sign(), "assignment": torch.arange(videos) % 3}
    objective.setup(data, network, prepared)
    whole = Batch(torch.randn(videos, 6, 5), torch.randn(videos, 6, 3), torch.zeros(videos, 1), torch.randperm(videos))
    drawn = masked_views(videos, 6, 0.5)
    own = Batch(*(share(rank, part) for part in whole[:4]))
    views = MaskedViews(*(share(rank, part.transpose(0, 1)).transpose(0, 1) for part in drawn))
    with mock.patch("avhash_nas.objectives.masked_views.masked_views", return_value=views):
        loss = objective.loss(RoutedNetwork(network), own)
    loss.backward()
    parameters = {**dict(network.named_parameters()), **{f"objective.{n}": p for n, p in objective.named_parameters()}}
    all_reduce_mean(parameters.values())
    found = {name: parameter.grad for name, parameter in parameters.items()}
    labels = {"labels": objective.memory.labels} if kind == "SLG" else {}
    return {"loss": loss.detach(), **found, **labels}
