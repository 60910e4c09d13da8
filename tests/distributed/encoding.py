"""Encoding on ranks."""

from pathlib import Path

from avhash_nas.code_set import CodeSet
from avhash_nas.data import FeatureFolder
from avhash_nas.distributed import world_size
from avhash_nas.networks import HashNetwork
from avhash_nas.training.encoding import encode, quiet_trainer


def encoded(rank: int, model: Path, root: Path, cache: Path, batch_size: int) -> CodeSet:
    """A whole folder's codes, as each rank gets them; by one process where there are no ranks."""
    network = HashNetwork.from_pretrained(model)
    folder = FeatureFolder(root, batch_size=batch_size, cache_dir=cache)
    return encode(network, folder, quiet_trainer(accelerator="cpu", devices=world_size()), frames=True)
