"""SPOS: evolution by the scores of an evaluator, once, however often it is interrupted."""

import json
from functools import partial

import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.space import SearchSpace, load_space
from avhash_nas.strategies import SPOS, SearchProgress
from avhash_nas.strategies.evolution import evolve
from reference.strategies_evolution import additive_fitness, best_by_enumeration
from strategies.evaluators import SpyEvaluator, search_in_pieces

QUICK = (
    partial(SPOS, population=4, generations=3, top=2, mutants=2, crossovers=1),
    partial(SPOS, fair=True, population=4, generations=3, top=2, mutants=2, crossovers=1),
)
"""For the conformance checks: options that suit short searches."""

FULL = load_space("full")
MEDIUM = SearchSpace(tuple(FULL[name] for name in ("visual.M1", "audio.M1", "visual.U1", "audio.U1", "I1", "F", "T")))
SMALL = {"population": 12, "generations": 4, "top": 3, "mutants": 4, "crossovers": 4}
END = SearchProgress(10, 0, 10, 4)


def begun(seed=0, space=MEDIUM, **options):
    strategy = SPOS(**{**SMALL, **options})
    strategy.setup_search(space, seed)
    return strategy


def chosen(seed=0, **options):
    strategy, evaluator = begun(seed, **options), SpyEvaluator(additive_fitness(MEDIUM, 0))
    strategy.search(evaluator)
    return strategy, evaluator


class TestChoose:
    def test_the_settings_are_those_of_the_paper(self):
        """Population 50, 20 generations, the 10 best, half mutants, half crossovers, mutation 0.1."""
        strategy, evaluator = SPOS(), SpyEvaluator(additive_fitness(FULL, 1))
        strategy.setup_search(FULL, 3)
        strategy.search(evaluator)
        expected = evolve(
            *(FULL, evaluator.scores, 3),
            **{"population": 50, "generations": 20, "top": 10, "mutants": 25, "crossovers": 25, "mutation": 0.1},
        )
        assert strategy.rounds == expected.generations
        assert strategy.derive() == expected.best
        assert len(set(evaluator.evaluated)) == len(evaluator.evaluated) == 1000
        assert len(strategy.report()["elites"]) == 10

    def test_the_options_reach_the_evolution(self):
        strategy, evaluator = chosen(mutation=0.7)
        expected = evolve(MEDIUM, evaluator.scores, 0, **SMALL, mutation=0.7)
        assert strategy.rounds == expected.generations
        assert strategy.derive() == expected.best

    def test_a_generation_is_scored_in_one_call(self):
        _, evaluator = chosen()
        assert [len(call) for call in evaluator.calls] == [12] * 4
        assert evaluator.trained == []

    def test_a_space_smaller_than_the_population_is_scored_whole(self):
        space = SearchSpace(tuple(FULL[name] for name in ("visual.U1", "T")))
        strategy, evaluator = begun(space=space, population=50), SpyEvaluator(additive_fitness(space, 0))
        strategy.search(evaluator)
        assert len(evaluator.evaluated) == space.size == 6
        assert strategy.derive() == best_by_enumeration(space, evaluator.fitness)

    def test_interrupted_at_any_evaluation_it_ends_the_same_and_evaluates_nothing_twice(self):
        strategy, evaluator = chosen()
        pieced, evaluated = search_in_pieces(begun, evaluator.fitness)
        assert pieced.rounds == strategy.rounds
        assert pieced.derive() == strategy.derive()
        assert evaluated == evaluator.evaluated

    def test_chosen_again_it_chooses_the_same(self):
        strategy, evaluator = chosen()
        before = strategy.rounds
        strategy.search(evaluator)
        assert strategy.rounds == before

    def test_seeds_differ(self):
        assert chosen(0)[0].rounds != chosen(1)[0].rounds


class TestState:
    def test_derive_is_some_architecture_before_and_the_best_after(self):
        strategy = begun()
        MEDIUM.check(strategy.derive())
        assert strategy.derive() == begun().derive()
        assert len({begun(seed).derive() for seed in range(5)}) == 5
        strategy, evaluator = chosen()
        best = max(evaluator.evaluated, key=evaluator.fitness)
        assert strategy.derive() == strategy.derive() == best

    def test_nothing_is_said_of_an_architecture_before_there_is_one(self):
        strategy = begun()
        assert strategy.summary(END) == {}
        assert strategy.report() == {"generations": [], "elites": []}
        assert list(strategy.evaluation_routes(END)) == ["supernet"]
        strategy, _ = chosen()
        derived = strategy.derive()
        assert strategy.summary(END) == {"skips": sum(name == "skip" for name in derived.values())}
        assert strategy.evaluation_routes(END)["derived"] == MEDIUM.indices(derived)

    def test_the_state_goes_through_a_file(self):
        strategy, _ = chosen()
        fresh = begun()
        fresh.load_state_dict(json.loads(json.dumps(strategy.state_dict())))
        assert fresh.rounds == strategy.rounds
        assert fresh.derive() == strategy.derive()
        assert fresh.report() == strategy.report()

    def test_a_new_search_starts_with_nothing(self):
        strategy, _ = chosen()
        strategy.setup_search(MEDIUM, 0)
        assert strategy.rounds == ()

    def test_the_report(self):
        strategy, evaluator = chosen()
        report = json.loads(json.dumps(strategy.report()))
        scores = [evaluator.fitness(architecture) for architecture in evaluator.evaluated]
        assert report["evaluations"] == 48
        assert report["best"] == max(scores)
        for index, generation in enumerate(report["generations"]):
            own = scores[12 * index : 12 * (index + 1)]
            assert generation["evaluations"] == 12
            assert generation["best"] == max(own)
            assert generation["mean"] == pytest.approx(sum(own) / 12)
        assert [elite["score"] for elite in report["elites"]] == sorted(scores, reverse=True)[:3]
        assert report["elites"][0]["cells"] == dict(strategy.derive())

    def test_the_state_of_the_end_is_kept(self):
        assert SPOS().monitor is None
        assert SPOS().uses_supernet
        assert SPOS().train_fraction == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 0}, r"strategy\.probes must be at least 1, got 0"),
        ({"population": 0}, r"strategy\.population must be at least 1, got 0"),
        ({"generations": 0}, r"strategy\.generations must be at least 1, got 0"),
        ({"top": -1}, r"strategy\.top must be at least 1, got -1"),
        ({"mutants": -1}, r"strategy\.mutants must not be negative, got -1"),
        ({"crossovers": -2}, r"strategy\.crossovers must not be negative, got -2"),
        ({"population": 40}, r"crossovers must fit into the population of 40, got 25 \+ 25"),
        ({"mutation": 1.5}, r"strategy\.mutation must lie in \[0, 1\], got 1\.5"),
        ({"mutation": float("nan")}, r"strategy\.mutation must lie in \[0, 1\], got nan"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=message):
        SPOS(**options)
