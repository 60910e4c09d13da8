"""The runs and supernet scores by which `avnas compare` rates the searches."""

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from jsonargparse import Namespace

from avhash_nas.cli import fit as fit_command
from avhash_nas.cli.compare_options import CompareOptions
from avhash_nas.comparison import Ranking, Run
from avhash_nas.comparison.budget import check_equal, stand_alone_options
from avhash_nas.comparison.ranking import covers
from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.space import Architecture, load_space
from avhash_nas.training.tensors import read_tensors

_DIFFERENT = "the ranked architectures are trained alone once for all entries, with the options of the comparison"


class RankingRuns:
    """Trains the ranked architectures alone, and scores them with every supernet.

    Training alone depends on code length, seed and the comparison's own options, but not on a strategy, so each
    architecture is trained once for all entries. Entries with another network, such as a single modality or no search,
    are left out.

    Args:
        options: Options of the comparison.
        ranking: The ranking.

    Raises:
        AvnasError: A searched space does not contain the ranked one, or an entry trains its network differently.

    Attributes:
        ranked: The ranked architectures by short name.
        searches: The runs whose supernets score them.
    """

    def __init__(self, options: CompareOptions, ranking: Ranking) -> None:
        self.options = options
        self.comparison = options.comparison
        self.space = load_space(ranking.space)
        self.ranked = {short_name(each): each for each in ranking.draw(self.space)}
        entries = [
            entry
            for entry in self.comparison.entries
            if (space := options.spaces[entry.name]) is not None and covers(space, self.space, entry.name)
        ]
        sources = {"the comparison": options.stand_alone} | {each.name: options.entries[each.name] for each in entries}
        check_equal({name: stand_alone_options(options.decisive(each)) for name, each in sources.items()}, _DIFFERENT)
        self.searches = [run for entry in entries for run in self.comparison.runs(entry)]

    def ranked_alone(self) -> dict[Run, Namespace]:
        """The runs that train the ranked architectures, with their options."""
        points = itertools.product(self.comparison.bits, self.comparison.seeds, self.ranked.values())
        return dict(self._alone(architecture, bits, seed) for bits, seed, architecture in points)

    def chosen_alone(self) -> dict[Run, Namespace]:
        """The runs that train the architectures that the finished searches chose, with their options."""
        return dict(self._alone(chosen, run.bits, run.seed) for run, chosen in self.chosen().items())

    def chosen(self) -> dict[Run, Architecture]:
        """What the finished searches chose."""
        return {run: Architecture.load(run.folder.architecture) for run in self.searches if run.folder.finished}

    def write_spaces(self, architectures: Iterable[Architecture]) -> None:
        """Write spaces of one architecture each, for the runs that train it alone."""
        for architecture in architectures:
            if not (file := self._space_file(architecture)).exists():
                write_json(file, {"expand": self.space.expand, **architecture.to_dict()})

    def score(self) -> None:
        """Score the ranked architectures with the supernets of the finished searches, unless done before."""
        for run in self.searches:
            if run.folder.finished and (run.path / "search" / "best.pt").exists() and not run.scores.exists():
                print(f"{run}: scoring {len(self.ranked)} architectures", file=sys.stderr, flush=True)
                write_json(run.scores, self._supernet_scores(run))

    def _alone(self, architecture: Architecture, bits: int, seed: int) -> tuple[Run, Namespace]:
        run = self.comparison.alone(short_name(architecture), bits, seed)
        options = self.options.stand_alone.clone()
        options.space = str(self._space_file(architecture))
        return run, self.options.of_run(run, options)

    def _space_file(self, architecture: Architecture) -> Path:
        return Path(self.comparison.out) / "alone" / f"{short_name(architecture)}.json"

    def _supernet_scores(self, run: Run) -> dict[str, float]:
        options = self.options.of_run(run, self.options.entries[run.name])
        options.trainer.devices, options.trainer.num_nodes, options.trainer.strategy = 1, 1, "auto"
        plan = fit_command.build(options, self.options.parser, run.folder)
        supernet = plan.make_network()
        assert isinstance(supernet, AudioVisualNetwork)
        supernet.load_state_dict(read_tensors(run.path / "search" / "best.pt")["network"])
        device = plan.make_trainer(max_epochs=1, callbacks=[], folder_of_stage=run.path).strategy.root_device
        scores = ArchitectureScorer(supernet, plan.data, Scoring(), device).scores(list(self.ranked.values()))
        return {name: each["retrieved"] for name, each in zip(self.ranked, scores, strict=True)}
