"""Random architectures, each trained alone."""

import json
import statistics
from collections import Counter
from functools import partial

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.strategies import RandomSearch, SearchProgress
from reference.strategies_evolution import additive_fitness, best_by_enumeration, every_architecture, uniform_p
from strategies.evaluators import search_in_pieces, searched_by

QUICK = (partial(RandomSearch, count=4),)
"""For the conformance checks: options that suit short searches."""

FULL = load_space("full")
SMALL = SearchSpace(tuple(FULL[name] for name in ("visual.U1", "T")))


def begun(seed=0, space=FULL, **options):
    strategy = RandomSearch(**options)
    strategy.setup_search(space, seed)
    return strategy


def chosen(seed=0, space=FULL, **options):
    return searched_by(RandomSearch(**options), space, additive_fitness(space, 0), seed)


def test_five_distinct_architectures_are_trained_and_the_best_on_val_is_kept():
    strategy, evaluator = chosen()
    assert len(evaluator.trained) == len(set(evaluator.trained)) == 5
    assert evaluator.calls == []  # no shared weights score anything
    assert strategy.derive() == strategy.derive() == max(evaluator.trained, key=evaluator.fitness)


def test_no_supernet_is_trained():
    assert not RandomSearch().uses_supernet
    assert RandomSearch().monitor is None


def test_the_report():
    strategy, evaluator = chosen(count=4)
    report = json.loads(json.dumps(strategy.report()))
    scores = [evaluator.fitness(architecture) for architecture in evaluator.trained]
    assert report["evaluations"] == 4
    assert report["best"] == max(scores)
    assert report["mean"] == pytest.approx(statistics.fmean(scores))
    assert report["spread"] == pytest.approx(statistics.stdev(scores))
    assert [each["score"] for each in report["architectures"]] == sorted(scores, reverse=True)
    assert {json.dumps(each["cells"]) for each in report["architectures"]} == {
        json.dumps(dict(a)) for a in evaluator.trained
    }


def test_one_architecture_has_no_spread():
    strategy, _ = chosen(count=1)
    assert strategy.report()["spread"] is None


def test_every_architecture_is_as_probable():
    first = Counter()
    for seed in range(3000):
        _, evaluator = chosen(seed, SMALL, count=2)
        first.update(evaluator.trained)
    assert uniform_p([first[architecture] for architecture in every_architecture(SMALL)]) > 1e-3


def test_more_than_the_space_has_are_all_of_them_said_once():
    with pytest.warns(
        UserWarning, match=r"strategy\.count is 9, the space has 6 architectures: all are trained"
    ) as said:
        strategy, evaluator = chosen(space=SMALL, count=9)
    assert len(said) == 1
    assert set(evaluator.trained) == set(every_architecture(SMALL))
    assert strategy.derive() == best_by_enumeration(SMALL, evaluator.fitness)
    assert strategy.report()["evaluations"] == 6


def test_interrupted_at_any_training_it_ends_the_same_and_trains_nothing_twice():
    strategy, evaluator = chosen()
    pieced, trained = search_in_pieces(begun, evaluator.fitness)
    assert pieced.rounds == strategy.rounds
    assert trained == evaluator.trained


def test_the_seed_decides():
    assert chosen(3)[1].trained == chosen(3)[1].trained
    assert not set(chosen(3)[1].trained) & set(chosen(4)[1].trained)


def test_more_architectures_begin_with_the_same_ones():
    assert chosen(count=8)[1].trained[:5] == chosen(count=5)[1].trained


def test_the_state_goes_through_a_file():
    strategy, _ = chosen()
    fresh = begun()
    assert fresh.report() == {"architectures": []}
    fresh.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
    assert fresh.derive() == strategy.derive()
    assert fresh.report() == strategy.report()


def test_under_a_trainer_of_ones_own_one_random_architecture_trains_alone():
    strategy = begun(2)
    routes = [strategy.route(SearchProgress(epoch, 1, 10, 4)) for epoch in range(5)]
    assert all(route == FULL.indices(strategy.derive()) for route in routes)
    assert begun(3).derive() != strategy.derive()


@pytest.mark.parametrize("count", [0, -3])
def test_count_out_of_range(count):
    with pytest.raises(AvnasError, match=rf"strategy\.count must be at least 1, got {count}"):
        RandomSearch(count=count)
