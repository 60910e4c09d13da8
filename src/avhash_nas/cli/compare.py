"""`avnas compare`: run strategies and networks side by side, as in the paper's tables."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from jsonargparse import Namespace
from jsonargparse.typing import register_type
from rich.console import Console

from avhash_nas.cli import pages
from avhash_nas.cli.compare_options import CompareOptions
from avhash_nas.cli.compare_ranking import RankingRuns
from avhash_nas.cli.parser import make_parser
from avhash_nas.cli.trainers import quiet
from avhash_nas.comparison import Comparison, FitOptions, Job, Run, run_jobs
from avhash_nas.comparison.budget import describe
from avhash_nas.comparison.jobs import last_error
from avhash_nas.errors import AvnasError
from avhash_nas.results import ComparisonResults, comparison_tables, read_results, write_tables

_DESCRIPTION = """Run strategies and networks side by side, and write the paper's tables.

Each run is one of `avnas fit` in its own folder below --out, with its options and its log beside the folder. The same
command resumes a comparison: finished runs are kept, others continue. Options of `avnas fit` that are given here
(--data.root, --trainer.accelerator, ...) apply to every run."""

_FIELDS = tuple(field.name for field in dataclasses.fields(Comparison))
_OWN = {*_FIELDS, "config", "print_config", "jobs", "page", "tables_only", "tables-only", "help", "h"}

register_type(FitOptions, serializer=dict, deserializer=FitOptions)  # else jsonargparse instantiates classes in them


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    quiet()
    own, of_fit = _split(arguments)
    parser = make_parser("compare", _DESCRIPTION)
    parser.add_class_arguments(Comparison)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time, which share the cores")
    parser.add_argument("--page", type=bool, default=True, help=pages.OPTION)
    parser.add_argument(
        "--tables_only", "--tables-only", action="store_true", help="only write tables of existing runs"
    )
    parsed = parser.parse(own)
    if parsed.jobs < 1:
        raise AvnasError(f"--jobs must be at least 1, got {parsed.jobs}")
    values = parser.make(parsed)
    comparison = Comparison(**{name: values[name] for name in _FIELDS})
    options = CompareOptions(comparison, of_fit)
    ranking = RankingRuns(options, comparison.ranking) if comparison.ranking else None
    runs = options.of_entries()
    failures = {} if parsed.tables_only else _work(options, ranking, runs, parsed.jobs)
    results = _results(options, ranking, runs, failures)
    _report(results)
    if parsed.page and results.metrics:
        pages.write_if_possible(lambda: pages.page_of_comparison(results))
    return 1 if results.problems else 0


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own arguments, and those of `avnas fit`; a value follows its option."""
    own: list[str] = []
    of_fit: list[str] = []
    target = own
    for argument in arguments:
        if argument.startswith("-"):
            name = argument.lstrip("-").partition("=")[0].partition(".")[0].rstrip("+")
            target = own if name in _OWN else of_fit
        target.append(argument)
    return own, of_fit


def _work(
    options: CompareOptions, ranking: RankingRuns | None, runs: Mapping[Run, Namespace], at_once: int
) -> dict[str, str]:
    """Do all unfinished work; the reasons of failures, by the name of the run."""
    options.open_data()
    options.check_data({**runs, **(ranking.ranked_alone() | ranking.chosen_alone() if ranking else {})})
    if ranking is None:
        return _train(options, runs, at_once)
    ranking.write_spaces(ranking.ranked.values())
    failures = _train(options, {**runs, **ranking.ranked_alone()}, at_once)
    ranking.write_spaces(ranking.chosen().values())
    failures |= _train(options, ranking.chosen_alone(), at_once)
    ranking.score()
    return failures


def _train(options: CompareOptions, runs: Mapping[Run, Namespace], at_once: int) -> dict[str, str]:
    unfinished = {run: of_run for run, of_run in runs.items() if not run.folder.finished}
    for run, of_run in unfinished.items():
        options.write(run, of_run)
    fit = (sys.executable, "-m", "avhash_nas", "fit", "--page=false", "--config")
    return run_jobs([Job(str(run), (*fit, str(run.options)), run.log) for run in unfinished], at_once)


def _results(
    options: CompareOptions, ranking: RankingRuns | None, runs: Mapping[Run, Namespace], failures: Mapping[str, str]
) -> ComparisonResults:
    expected = {**runs, **ranking.ranked_alone(), **ranking.chosen_alone()} if ranking else runs
    return read_results(
        options.comparison,
        ranked=list(ranking.ranked) if ranking else [],
        ranked_runs=ranking.searches if ranking else [],
        problems={str(run): failures.get(str(run)) or _why(run) for run in expected if not run.folder.finished},
        notes=describe({entry.title: options.budgets[entry.name] for entry in options.comparison.entries}),
    )


def _why(run: Run) -> str:
    """Why a run that this command did not start is not finished."""
    return last_error(run.log) if run.log.exists() else "not started"


def _report(results: ComparisonResults) -> None:
    """Write and print the tables."""
    files = write_tables(results)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in comparison_tables(results):
        console.print(table.to_rich())
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)
