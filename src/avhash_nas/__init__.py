"""avhash-nas: finds, trains and serves audio-visual video hashing networks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avhash_nas.baselines import MeanPoolMLP
    from avhash_nas.code_set import CodeSet
    from avhash_nas.data import Batch, ClassBalanced, FeatureFolder, HashingData, Triplets, write_synthetic
    from avhash_nas.errors import AvnasError
    from avhash_nas.metrics import RetrievalMetric, evaluate
    from avhash_nas.networks import AudioVisualNetwork, HashNetwork, prune
    from avhash_nas.objectives import InfoNCE, TripletInfoNCE
    from avhash_nas.space import Architecture, Cell, SearchSpace, load_space
    from avhash_nas.strategies import AVNAS, SearchStrategy
    from avhash_nas.training import Augmentation, HashingModule, Recipe, encode

__version__ = "0.1.0"

_HOMES = {
    "baselines": ("MeanPoolMLP",),
    "code_set": ("CodeSet",),
    "data": ("Batch", "ClassBalanced", "FeatureFolder", "HashingData", "Triplets", "write_synthetic"),
    "errors": ("AvnasError",),
    "metrics": ("RetrievalMetric", "evaluate"),
    "networks": ("AudioVisualNetwork", "HashNetwork", "prune"),
    "objectives": ("InfoNCE", "TripletInfoNCE"),
    "space": ("Architecture", "Cell", "SearchSpace", "load_space"),
    "strategies": ("AVNAS", "SearchStrategy"),
    "training": ("Augmentation", "HashingModule", "Recipe", "encode"),
}

__all__ = [
    "AVNAS",
    "Architecture",
    "AudioVisualNetwork",
    "Augmentation",
    "AvnasError",
    "Batch",
    "Cell",
    "ClassBalanced",
    "CodeSet",
    "FeatureFolder",
    "HashNetwork",
    "HashingData",
    "HashingModule",
    "InfoNCE",
    "MeanPoolMLP",
    "Recipe",
    "RetrievalMetric",
    "SearchSpace",
    "SearchStrategy",
    "TripletInfoNCE",
    "Triplets",
    "__version__",
    "encode",
    "evaluate",
    "load_space",
    "prune",
    "write_synthetic",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import avhash_nas` itself loads neither torch nor Lightning."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"avhash_nas.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
