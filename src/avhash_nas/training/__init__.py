"""The LightningModule and the stages of a run: search, prune, fine-tune, test."""

from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.encoding import encode
from avhash_nas.training.fit import fit
from avhash_nas.training.interrupt import Interrupted
from avhash_nas.training.module import HashingModule
from avhash_nas.training.plan import Plan
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.run_folder import RunFolder
from avhash_nas.training.scoring import Scoring

__all__ = ["Augmentation", "HashingModule", "Interrupted", "Plan", "Recipe", "RunFolder", "Scoring", "encode", "fit"]
