"""`avnas compare`: strategies and networks side by side, as in the paper's tables."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from jsonargparse import Namespace
from jsonargparse.typing import register_type
from rich.console import Console

from avhash_nas.cli import pages
from avhash_nas.cli.compare_choices import Choices
from avhash_nas.cli.compare_options import Options
from avhash_nas.cli.parser import make_parser
from avhash_nas.cli.trainers import quiet
from avhash_nas.comparison import Comparison, FitOptions, Job, Results, Run, run_jobs, tables, write_report
from avhash_nas.comparison.budget import describe
from avhash_nas.comparison.jobs import last_error
from avhash_nas.errors import AvnasError

_DESCRIPTION = """Run strategies and networks side by side, and write the paper's tables.

Every run is one of `avnas fit`, in a folder of its own below --out, with its options and its log beside it. The same
command goes on where it stopped: finished runs are kept, others go on. Options of `avnas fit` that are given here
(--data.root, --trainer.accelerator, ...) go to every run."""

_FIELDS = tuple(field.name for field in dataclasses.fields(Comparison))
_OWN = {*_FIELDS, "config", "print_config", "jobs", "page", "tables_only", "tables-only", "help", "h"}

register_type(FitOptions, serializer=dict, deserializer=FitOptions)  # else it would make the classes that they name


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    quiet()
    own, more = _split(arguments)
    made = make_parser("compare", _DESCRIPTION)
    made.add_class_arguments(Comparison)
    made.add_argument("--jobs", type=int, default=1, help="runs at the same time, which share the cores")
    made.add_argument("--page", type=bool, default=True, help=pages.OPTION)
    made.add_argument("--tables_only", "--tables-only", action="store_true", help="make the tables of what is there")
    parsed = made.parse(own)
    if parsed.jobs < 1:
        raise AvnasError(f"--jobs must be at least 1, got {parsed.jobs}")
    ready = made.make(parsed)
    comparison = Comparison(**{name: ready[name] for name in _FIELDS})
    options = Options(comparison, more)
    choices = Choices(options, comparison.ranking) if comparison.ranking else None
    runs = {
        run: options.of(run, options.of_entry[entry.name])
        for entry in comparison.entries
        for run in comparison.runs(entry)
    }
    problems = {} if parsed.tables_only else _work(options, choices, runs, parsed.jobs)
    results = _results(options, choices, runs, problems)
    _report(results)
    if parsed.page and results.metrics:
        pages.write_if_possible(lambda: pages.page_of_comparison(results))
    return 1 if results.problems else 0


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own arguments, and those of `avnas fit`; a value follows its option."""
    own: list[str] = []
    more: list[str] = []
    target = own
    for argument in arguments:
        if argument.startswith("-"):
            name = argument.lstrip("-").partition("=")[0].partition(".")[0].rstrip("+")
            target = own if name in _OWN else more
        target.append(argument)
    return own, more


def _work(options: Options, choices: Choices | None, runs: Mapping[Run, Namespace], at_once: int) -> dict[str, str]:
    """Do what is not done yet; why some of it failed, by the name of the run."""
    options.open_data()
    if choices is None:
        return _train(options, runs, at_once)
    choices.write(choices.ranked.values())
    problems = _train(options, {**runs, **choices.alone()}, at_once)
    choices.write(choices.choices().values())
    problems |= _train(options, choices.chosen(), at_once)
    choices.score()
    return problems


def _train(options: Options, runs: Mapping[Run, Namespace], at_once: int) -> dict[str, str]:
    waiting = {run: of_run for run, of_run in runs.items() if not run.folder.finished}
    for run, of_run in waiting.items():
        options.write(run, of_run)
    fit = (sys.executable, "-m", "avhash_nas", "fit", "--page=false", "--config")
    return run_jobs([Job(str(run), (*fit, str(run.options)), run.log) for run in waiting], at_once)


def _results(
    options: Options, choices: Choices | None, runs: Mapping[Run, Namespace], problems: Mapping[str, str]
) -> Results:
    """What is finished, and why the rest is not."""
    comparison = options.comparison
    expected = [*runs, *(choices.expected() if choices else ())]
    return Results(
        comparison,
        metrics={run: run.folder.read_metrics() for run in runs if run.folder.finished},
        qualities=choices.qualities() if choices else {},
        alone=choices.ranked_alone() if choices else {},
        problems={str(run): problems.get(str(run)) or _why(run) for run in expected if not run.folder.finished},
        notes=describe({entry.title: options.budgets[entry.name] for entry in comparison.entries}),
    )


def _report(results: Results) -> None:
    """Write and print the tables."""
    files = write_report(results)
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in tables(results):
        console.print(table.to_rich())
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)


def _why(run: Run) -> str:
    """Why a run that this command did not try is not finished."""
    return last_error(run.log) if run.log.exists() else "not started"
