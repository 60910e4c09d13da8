"""The options of `avnas fit` for every run of a comparison."""

import inspect
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import yaml
from jsonargparse import Namespace

from avhash_nas.cli import fit as fit_command
from avhash_nas.cli.parser import import_class
from avhash_nas.comparison import Comparison, Entry, Run
from avhash_nas.comparison.budget import budget, check_equal
from avhash_nas.data import HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.pipeline.run_folder import changes
from avhash_nas.space import SearchSpace, load_space

_UNEQUAL = (
    "the runs of a comparison train for equally many weight steps: state them once, in its options, "
    "or say `unequal: true` in the entry"
)


class CompareOptions:
    """Resolves and checks the options of every entry before any run starts.

    From lowest to highest priority: the comparison's recipes and options, the entry's recipes and options, the command
    line.

    Args:
        comparison: The comparison.
        fit_arguments: Options of `avnas fit` from the command line.

    Raises:
        AvnasError: A value is invalid, or the entries' budgets differ.

    Attributes:
        entries: Options by the name of the entry; `of_run` adds code length, seed and folder.
        spaces: Search space by the name of the entry; None if the entry does not search.
        budgets: Options that decide the number of weight steps, by the name of the entry.
    """

    def __init__(self, comparison: Comparison, fit_arguments: Sequence[str]) -> None:
        self.comparison = comparison
        self.parser = fit_command.parser()
        self._fit_arguments = fit_arguments
        self.entries = {entry.name: self._resolve(entry) for entry in comparison.entries}
        self.spaces = {name: _searched_space(options) for name, options in self.entries.items()}
        self.budgets = {
            name: budget(self.decisive(options), searches=self.spaces[name] is not None)
            for name, options in self.entries.items()
        }
        check_equal(
            {entry.name: self.budgets[entry.name] for entry in comparison.entries if not entry.unequal}, _UNEQUAL
        )

    @cached_property
    def stand_alone(self) -> Namespace:
        """The options of an architecture that is trained alone: those of the comparison, without an entry's."""
        return self._resolve(Entry("comparison"))

    def of_run(self, run: Run, source: Namespace) -> Namespace:
        """The options of one run.

        Raises:
            AvnasError: Its folder holds a run with other options.
        """
        options = source.clone()
        options.out, options.bits, options.seed = str(run.path), run.bits, run.seed
        if run.folder.config.exists() and (changed := changes(run.folder.read_options(), self.decisive(options))):
            raise AvnasError(f"{run.path}: holds a run with other options ({changed}); remove it or give another --out")
        return options

    def of_entries(self) -> dict[Run, Namespace]:
        """The options of every run of every entry."""
        entries = self.comparison.entries
        return {
            run: self.of_run(run, self.entries[each.name]) for each in entries for run in self.comparison.runs(each)
        }

    def write(self, run: Run, options: Namespace) -> None:
        """Write the file with which `avnas fit --config` is the run."""
        text = self.parser.dump(options, format="yaml", skip_validation=True)
        write_whole(run.options, lambda partial: partial.write_text(text, encoding="utf-8"))

    def decisive(self, options: Namespace) -> dict[str, Any]:
        """The options that decide what a run computes, as plain values."""
        return fit_command.decisive(options, self.parser)

    def open_data(self) -> None:
        """Open every dataset once, to report errors early and to convert it before runs do so at the same time.

        Raises:
            DataError: A dataset cannot be used.
        """
        datasets = {(str(each.data.root), str(each.data.cache_dir)): each for each in reversed(self.entries.values())}
        for options in reversed(datasets.values()):
            fit_command.open_data(self.parser.make(options), seed=0)

    def check_data(self, runs: Mapping[Run, Namespace]) -> None:
        """Check that every run that exists has seen the data of now.

        Args:
            runs: With their options.

        Raises:
            AvnasError: A run has seen other data.
            DataError: A dataset cannot be used.
        """
        datasets: dict[tuple[str, ...], HashingData] = {}
        for run, options in runs.items():
            if not run.folder.data.exists():
                continue
            where = options.data
            key = (str(where.root), str(where.cache_dir), str(where.database))
            if key not in datasets:
                datasets[key] = fit_command.dataset(self.parser.make(options), seed=0)
                assert datasets[key].fingerprint  # once for all runs
            run.folder.check_data(datasets[key])

    def _resolve(self, entry: Entry) -> Namespace:
        layers = [
            *(*self.comparison.recipes, *_inline(self.comparison.options)),
            *(*entry.recipes, *_inline(entry.options)),
        ]
        self.parser.prog = f"avnas compare: {entry.name}"
        options = self.parser.parse([*(f"--config={layer}" for layer in layers), *self._fit_arguments])
        try:
            self.parser.make(options)
        except AvnasError as error:
            raise AvnasError(f"{entry.name}: {error}") from error
        return options


def _searched_space(options: Namespace) -> SearchSpace | None:
    """The space that a run searches; None if its network leaves no choice."""
    if "space" not in inspect.signature(import_class(options.network.class_path)).parameters:
        return None
    space = load_space(options.space)
    return space if space.choices else None


def _inline(options: dict[str, Any]) -> list[str]:
    """Options as YAML in one line; an empty list if there are none."""
    return [yaml.safe_dump(dict(options), default_flow_style=True, width=float("inf"))] if options else []
