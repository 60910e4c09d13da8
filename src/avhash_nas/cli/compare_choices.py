"""How good the choices of a comparison's strategies are: the runs and scores that tell."""

import itertools
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from jsonargparse import Namespace

from avhash_nas.cli import fit as fit_command
from avhash_nas.cli.compare_options import Options
from avhash_nas.comparison import Quality, Ranking, Run, quality
from avhash_nas.comparison.budget import check_alike, of_training_alone
from avhash_nas.comparison.measures import VAL
from avhash_nas.comparison.ranking import covers, draw, read_scores
from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.pipeline.evaluator import short_name
from avhash_nas.space import Architecture, load_space
from avhash_nas.training.tensors import read_tensors

_DIFFERENT = "the ranked architectures are trained alone once for all entries, with the options of the comparison"


class Choices:
    """The ranking of a comparison: some architectures, trained alone and scored by every supernet.

    Training alone depends on code length, seed and the comparison's own options, and on no strategy, so that each
    architecture is trained once for all entries. Left out are entries whose network is another one: a single modality,
    or no search at all.

    Args:
        options: Of the comparison.
        ranking: Which architectures.

    Raises:
        AvnasError: The ranked space does not lie in a searched one, or an entry trains its network otherwise.
    """

    def __init__(self, options: Options, ranking: Ranking) -> None:
        self.options = options
        self.comparison = options.comparison
        self.space = load_space(ranking.space)
        self.ranked = {short_name(each): each for each in draw(self.space, ranking.architectures, ranking.seed)}
        self.entries = [
            entry
            for entry in self.comparison.entries
            if (searched := options.searched(entry)) is not None and covers(searched, self.space, entry.name)
        ]
        of_all = {"the comparison": options.of_comparison}
        of_all |= {entry.name: options.of_entry[entry.name] for entry in self.entries}
        check_alike({name: of_training_alone(options.decisive(each)) for name, each in of_all.items()}, _DIFFERENT)

    @cached_property
    def runs(self) -> list[Run]:
        """The runs of the entries that the ranking is for."""
        return [run for entry in self.entries for run in self.comparison.runs(entry)]

    def choices(self) -> dict[Run, Architecture]:
        """What the finished runs chose."""
        return {run: Architecture.load(run.folder.architecture) for run in self.runs if run.folder.finished}

    def alone(self) -> dict[Run, Namespace]:
        """The runs that train the ranked architectures, with their options."""
        points = itertools.product(self.comparison.bits, self.comparison.seeds, self.ranked.values())
        return dict(self._alone(architecture, bits, seed) for bits, seed, architecture in points)

    def chosen(self) -> dict[Run, Namespace]:
        """The runs that train what the finished runs chose, with their options."""
        return dict(self._alone(chosen, run.bits, run.seed) for run, chosen in self.choices().items())

    def expected(self) -> list[Run]:
        """All runs that train architectures alone."""
        return list({**self.alone(), **self.chosen()})

    def write(self, architectures: Iterable[Architecture]) -> None:
        """Write the spaces that hold one architecture each, for the runs that train it alone."""
        for architecture in architectures:
            if not (file := self._file(architecture)).exists():
                write_json(file, {"expand": self.space.expand, **architecture.to_dict()})

    def score(self) -> None:
        """Score the ranked architectures with the supernets of the finished runs; scores are kept in files."""
        for run in self.runs:
            if run.folder.finished and (run.path / "search" / "best.pt").exists() and not run.scores.exists():
                print(f"{run}: scoring {len(self.ranked)} architectures", file=sys.stderr, flush=True)
                write_json(run.scores, self._supernet_scores(run))

    def qualities(self) -> dict[Run, Quality]:
        """What the finished runs' choices are worth."""
        found = {}
        for run, chosen in self.choices().items():
            names = [*self.ranked, short_name(chosen)]
            scores = self._alone_scores(names, run.bits, run.seed)
            found[run] = quality(read_scores(run.scores), scores, list(self.ranked), short_name(chosen))
        return found

    def ranked_alone(self) -> dict[tuple[int, int], dict[str, float]]:
        """mAP@100 on val of the ranked architectures, trained alone, by short name, for each code length and seed."""
        points = itertools.product(self.comparison.bits, self.comparison.seeds)
        return {point: self._alone_scores(self.ranked, *point) for point in points}

    def _alone_scores(self, names: Iterable[str], bits: int, seed: int) -> dict[str, float]:
        folders = {name: self.comparison.alone(name, bits, seed).folder for name in names}
        scores = {name: VAL.of(folder.read_metrics()) for name, folder in folders.items() if folder.finished}
        return {name: score for name, score in scores.items() if score is not None}

    def _alone(self, architecture: Architecture, bits: int, seed: int) -> tuple[Run, Namespace]:
        run = self.comparison.alone(short_name(architecture), bits, seed)
        options = self.options.of_comparison.clone()
        options.space = str(self._file(architecture))
        return run, self.options.of(run, options)

    def _file(self, architecture: Architecture) -> Path:
        return Path(self.comparison.out) / "alone" / f"{short_name(architecture)}.json"

    def _supernet_scores(self, run: Run) -> dict[str, float]:
        source = next(self.options.of_entry[entry.name] for entry in self.entries if entry.name == run.name)
        options = self.options.of(run, source)
        options.trainer.devices, options.trainer.num_nodes, options.trainer.strategy = 1, 1, "auto"
        plan = fit_command.build(options, self.options.made, run.folder)
        supernet = plan.make_network()
        assert isinstance(supernet, AudioVisualNetwork)
        supernet.load_state_dict(read_tensors(run.path / "search" / "best.pt")["network"])
        device = plan.make_trainer(max_epochs=1, callbacks=[], folder_of_stage=run.path).strategy.root_device
        scores = ArchitectureScorer(supernet, plan.data, Scoring(), device).scores(list(self.ranked.values()))
        return {name: each["retrieved"] for name, each in zip(self.ranked, scores, strict=True)}
