"""Random search with shared weights."""

import json
import statistics
from functools import partial

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.strategies import SharedRandom
from reference.strategies_evolution import additive_fitness, best_by_enumeration
from strategies.evaluators import search_in_pieces, searched_by

QUICK = (partial(SharedRandom, count=6),)
"""For the conformance checks: options that suit short searches."""

FULL = load_space("full")


def begun(seed=0, space=FULL, **options):
    strategy = SharedRandom(**options)
    strategy.setup_search(space, seed)
    return strategy


def chosen(seed=0, space=FULL, **options):
    return searched_by(SharedRandom(**options), space, additive_fitness(space, 0), seed)


def test_as_many_as_spos_scores_in_one_call_and_the_best_is_kept():
    strategy, evaluator = chosen()
    assert [len(call) for call in evaluator.calls] == [1000]
    assert len(set(evaluator.evaluated)) == 1000
    assert evaluator.trained == []
    assert strategy.derive() == max(evaluator.evaluated, key=evaluator.fitness)
    scores = list(map(evaluator.fitness, evaluator.evaluated))
    assert json.loads(json.dumps(strategy.report())) == {
        "evaluations": 1000,
        "best": max(scores),
        "mean": pytest.approx(statistics.fmean(scores)),
        "spread": pytest.approx(statistics.stdev(scores)),
    }


def test_a_smaller_space_is_scored_whole():
    space = SearchSpace(tuple(FULL[name] for name in ("visual.U1", "audio.M1", "T")))
    strategy, evaluator = chosen(space=space)
    assert len(evaluator.evaluated) == space.size == 48
    assert strategy.derive() == best_by_enumeration(space, evaluator.fitness)


def test_interrupted_at_any_evaluation_it_ends_the_same_and_evaluates_nothing_twice():
    strategy, evaluator = chosen(count=20)
    pieced, evaluated = search_in_pieces(lambda: begun(count=20), evaluator.fitness)
    assert pieced.rounds == strategy.rounds
    assert evaluated == evaluator.evaluated


def test_the_seed_decides():
    assert chosen(3, count=50)[1].evaluated == chosen(3, count=50)[1].evaluated
    assert not set(chosen(3, count=50)[1].evaluated) & set(chosen(4, count=50)[1].evaluated)


def test_the_state_goes_through_a_file():
    strategy, fresh = chosen(count=30)[0], begun()
    assert fresh.report() == {}
    fresh.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert fresh.derive() == strategy.derive()
    assert fresh.report() == strategy.report()


@pytest.mark.parametrize(
    ("options", "message"), [({"count": 0}, "count must be at least 1, got 0"), ({"probes": 0}, "probes")]
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=rf"strategy\.{message}"):
        SharedRandom(**options)
