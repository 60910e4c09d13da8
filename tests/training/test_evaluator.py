"""What the cached evaluator remembers."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.pipeline import evaluator as evaluator_file
from avhash_nas.pipeline.evaluator import CachedEvaluator
from avhash_nas.space import Architecture, Cell, SearchSpace

SPACE = SearchSpace((Cell("visual.U1", ("skip", "silu", "layer_norm")), Cell("T", ("self_attention", "self_ssm"))))
ALL = [SPACE.architecture({"visual.U1": u, "T": t}) for u in range(3) for t in range(2)]


def worth(architecture: Architecture) -> float:
    return len(architecture["visual.U1"]) + len(architecture["T"]) / 7


class Scorer:
    """Counts what it is asked; fails at a call if told so."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.asked: list[list[Architecture]] = []
        self.fail_at = fail_at

    def scores(self, architectures):
        if len(self.asked) == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(list(architectures))
        return [worth(architecture) for architecture in architectures]

    def train(self, architecture):
        return -worth(architecture)


def make(file: Path, scorer: Scorer, space: SearchSpace = SPACE) -> CachedEvaluator:
    return CachedEvaluator(scorer, space, file)


def test_answers_come_in_order_and_each_architecture_is_scored_once(tmp_path: Path) -> None:
    scorer = Scorer()
    evaluator = make(tmp_path / "search" / "evaluator.json", scorer)
    assert evaluator.scores([ALL[3], ALL[1], ALL[3]]) == [worth(ALL[3]), worth(ALL[1]), worth(ALL[3])]
    assert evaluator.scores([ALL[1], ALL[0]]) == [worth(ALL[1]), worth(ALL[0])]
    assert scorer.asked == [[ALL[3], ALL[1]], [ALL[0]]]
    assert evaluator.train(ALL[2]) == -worth(ALL[2])
    assert evaluator.scores([]) == []


def test_a_restart_scores_nothing_twice_and_goes_on_counting_time(tmp_path: Path) -> None:
    file, scorer = tmp_path / "evaluator.json", Scorer()
    first = make(file, scorer)
    answers = first.scores(ALL[:4])
    second = make(file, scorer)
    assert second.scoring_seconds == first.scoring_seconds > 0
    assert second.scores(ALL[:4]) == answers
    assert scorer.asked == [ALL[:4]]
    second.scores(ALL)
    assert scorer.asked[1:] == [ALL[4:]]


def test_an_interruption_loses_one_block_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator_file, "BLOCK", 2)
    file = tmp_path / "evaluator.json"
    with pytest.raises(KeyboardInterrupt):
        make(file, Scorer(fail_at=2)).scores(ALL)
    assert len(json.loads(file.read_text())["scores"]) == 4
    scorer = Scorer()
    assert make(file, scorer).scores(ALL) == [worth(architecture) for architecture in ALL]
    assert scorer.asked == [ALL[4:]]


def test_scores_survive_the_file_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(len(ALL)).tolist()
    file = tmp_path / "evaluator.json"
    scores = dict(zip(map(str, ALL), values, strict=True))
    known = SimpleNamespace(scores=lambda some: [scores[str(one)] for one in some])
    CachedEvaluator(known, SPACE, file).scores(ALL)
    assert make(file, Scorer(fail_at=0)).scores(ALL) == values


def test_scores_of_another_space_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "evaluator.json"
    make(file, Scorer()).scores(ALL[:1])
    with pytest.raises(AvnasError, match=r"evaluator\.json: scores of another search space"):
        make(file, Scorer(), SearchSpace((Cell("visual.U1", ("skip", "silu")),)))
