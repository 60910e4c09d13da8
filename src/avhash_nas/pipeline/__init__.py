"""A run from data to metrics: search, prune, fine-tune, test, and the folder that keeps the results."""

from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.fit import fit
from avhash_nas.pipeline.plan import Plan
from avhash_nas.pipeline.run_folder import RunFolder

__all__ = ["Plan", "RunFolder", "Scoring", "fit"]
