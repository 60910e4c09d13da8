"""The LightningModule and the stages of a run: search, prune, fine-tune, test."""

from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.fit import fit
from avhash_nas.pipeline.plan import Plan
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.checkpoint import Interrupted
from avhash_nas.training.encoding import encode
from avhash_nas.training.module import HashingModule
from avhash_nas.training.recipe import Recipe

__all__ = ["Augmentation", "HashingModule", "Interrupted", "Plan", "Recipe", "RunFolder", "Scoring", "encode", "fit"]
