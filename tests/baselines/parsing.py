"""LINK's network in a small size, with random weights."""

from typing import Any

import torch

from avhash_nas.baselines import LINKStyle

SMALL: dict[str, Any] = {"width": 8, "layers": 2, "heads": 2, "hidden": 12}
CLASSES = 4


def texts(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(CLASSES, 3, generator=generator), torch.randn(CLASSES, 7, generator=generator)


def link(seed: int = 0, dims: tuple[int, int] = (6, 5), **options: Any) -> LINKStyle:
    """All parameters random, so that nothing is left at a start of zero."""
    vectors = None if options.get("texts") == "none" else texts()
    network = LINKStyle(*dims, CLASSES, vectors, **{**SMALL, **options})
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network
