"""A run from data to metrics: search, prune, fine-tune, test, and the folder that keeps the results."""

from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.pipeline.evaluate import KS, evaluate_network, reference_scores
from avhash_nas.pipeline.evaluator import CachedEvaluator, SupernetEvaluator, short_name
from avhash_nas.pipeline.fit import SearchResult, fit, search
from avhash_nas.pipeline.loggers import check_logger, log_pictures, make_loggers
from avhash_nas.pipeline.plan import Plan
from avhash_nas.pipeline.results_table import print_results
from avhash_nas.pipeline.run_folder import RunFolder, changes, flatten
from avhash_nas.pipeline.task import Task
from avhash_nas.pipeline.tasks import task_of

__all__ = [
    "KS",
    "ArchitectureScorer",
    "CachedEvaluator",
    "Plan",
    "RunFolder",
    "Scoring",
    "SearchResult",
    "SupernetEvaluator",
    "Task",
    "changes",
    "check_logger",
    "evaluate_network",
    "fit",
    "flatten",
    "log_pictures",
    "make_loggers",
    "print_results",
    "reference_scores",
    "search",
    "short_name",
    "task_of",
]
