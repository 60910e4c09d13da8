"""The options of `avnas fit` for every run of a comparison."""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import yaml
from jsonargparse import Namespace

from avhash_nas.cli import fit as fit_command
from avhash_nas.cli.parser import import_class
from avhash_nas.comparison import Comparison, Entry, Run
from avhash_nas.comparison.budget import budget, check_alike
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.pipeline.run_folder import changes
from avhash_nas.space import SearchSpace, load_space

_UNEQUAL = (
    "the runs of a comparison train for equally many weight steps: state them once, in its options, "
    "or say `unequal: true` in the entry"
)


class Options:
    """Resolves and checks them before any run starts.

    The lowest layer are the comparison's recipes, then come its options, an entry's recipes, that entry's options, and
    what the command line adds.

    Args:
        comparison: What is compared.
        more: Options of `avnas fit` from the command line.

    Raises:
        AvnasError: A value is refused, or the entries' budgets differ.

    Attributes:
        of_entry: By the name of the entry; code length, seed and folder are set by `of`.
        budgets: What decides the number of weight steps, by the name of the entry.
    """

    def __init__(self, comparison: Comparison, more: Sequence[str]) -> None:
        self.comparison = comparison
        self.made = fit_command.parser()
        self._more = list(more)
        self.of_entry = {entry.name: self._resolve(entry) for entry in comparison.entries}
        self.budgets = {
            entry.name: budget(self.decisive(self.of_entry[entry.name]), searches=self.searched(entry) is not None)
            for entry in comparison.entries
        }
        equal = {entry.name: self.budgets[entry.name] for entry in comparison.entries if not entry.unequal}
        check_alike(equal, _UNEQUAL)

    @cached_property
    def of_comparison(self) -> Namespace:
        """Those of an architecture that is trained alone: no entry's."""
        return self._resolve(Entry("comparison"))

    def of(self, run: Run, source: Namespace) -> Namespace:
        """Those of one run.

        Raises:
            AvnasError: Its folder holds a run with other options.
        """
        options = source.clone()
        options.out, options.bits, options.seed = str(run.path), run.bits, run.seed
        if run.folder.config.exists() and (changed := changes(run.folder.read_options(), self.decisive(options))):
            raise AvnasError(f"{run.path}: holds a run with other options ({changed}); remove it or give another --out")
        return options

    def write(self, run: Run, options: Namespace) -> None:
        """Write the file with which `avnas fit --config` is the run."""
        text = self.made.dump(options, format="yaml", skip_validation=True)
        write_whole(run.options, lambda partial: partial.write_text(text, encoding="utf-8"))

    def decisive(self, options: Namespace) -> dict[str, Any]:
        """Those that decide what is computed."""
        return fit_command.decisive(options, self.made)

    def searched(self, entry: Entry) -> SearchSpace | None:
        """What an entry searches; None if its network leaves no choice."""
        options = self.of_entry[entry.name]
        if "space" not in inspect.signature(import_class(options.network.class_path)).parameters:
            return None
        space = load_space(options.space)
        return space if space.choices else None

    def open_data(self) -> None:
        """Open every dataset once, so that a bad one costs one line and no two runs convert it at the same time.

        Raises:
            DataError: A dataset cannot be used.
        """
        opened = set()
        for options in self.of_entry.values():
            where = (str(options.data.root), str(options.data.cache_dir))
            if where not in opened:
                fit_command.open_data(self.made.make(options), seed=0)
                opened.add(where)

    def _resolve(self, entry: Entry) -> Namespace:
        layers = [
            *(*self.comparison.recipes, *_inline(self.comparison.options)),
            *(*entry.recipes, *_inline(entry.options)),
        ]
        self.made.prog = f"avnas compare: {entry.name}"
        options = self.made.parse([*(f"--config={layer}" for layer in layers), *self._more])
        try:
            self.made.make(options)
        except AvnasError as error:
            raise AvnasError(f"{entry.name}: {error}") from error
        return options


def _inline(options: dict[str, Any]) -> list[str]:
    """Options as a file's text in one line; none if there are none."""
    return [yaml.safe_dump(dict(options), default_flow_style=True, width=float("inf"))] if options else []
