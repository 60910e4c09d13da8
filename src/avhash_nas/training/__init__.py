"""Training of one network in one stage: the LightningModule, its callbacks, checkpoints."""

from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.checkpoint import Interrupted
from avhash_nas.training.encoding import encode
from avhash_nas.training.module import HashingModule
from avhash_nas.training.recipe import Recipe

__all__ = ["Augmentation", "HashingModule", "Interrupted", "Recipe", "encode"]
