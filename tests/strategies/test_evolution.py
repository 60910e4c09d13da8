"""SPOS's evolution, against enumeration, its own definition, and random search."""

import itertools
import statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import stream
from avhash_nas.space import SearchSpace, draw_distinct, load_space
from avhash_nas.strategies.evolution import cross, evolve, mutate
from reference.strategies_evolution import (
    additive_fitness,
    best_by_enumeration,
    elites_by_definition,
    every_architecture,
    uniform_p,
)
from strategies.evaluators import SpyEvaluator

FULL = load_space("full")
MEDIUM = SearchSpace(tuple(FULL[name] for name in ("visual.M1", "audio.M1", "visual.U1", "audio.U1", "I1", "F", "T")))
SMALL = SearchSpace(tuple(FULL[name] for name in ("visual.U1", "audio.U1", "T")))

settings = st.fixed_dictionaries(
    {
        "population": st.integers(6, 12),
        "generations": st.integers(1, 6),
        "top": st.integers(1, 8),
        "mutants": st.integers(0, 3),
        "crossovers": st.integers(0, 3),
        "mutation": st.floats(0, 1),
    }
)


def run(space, seed=0, fitness=None, **options):
    evaluator = SpyEvaluator(fitness or additive_fitness(space, seed))
    return evolve(space, evaluator.scores, seed, **options), evaluator


def members(generation):
    return [scored.architecture for scored in generation]


def changed(parent, child):
    return [cell for cell in parent if parent[cell] != child[cell]]


class TestCourse:
    @given(settings, st.integers(0, 3), st.sampled_from([MEDIUM, SMALL]))
    def test_nothing_is_evaluated_twice_and_everything_counts(self, options, seed, space):
        evolution, evaluator = run(space, seed, **options)
        history = [architecture for generation in evolution.generations for architecture in members(generation)]
        assert evaluator.evaluated == history  # nothing came from memory, nothing is left out
        assert len(set(history)) == len(history)
        assert [members(generation) for generation in evolution.generations] == evaluator.calls
        for generation in evolution.generations:
            for scored in generation:
                space.check(scored.architecture)
                assert scored.score == evaluator.fitness(scored.architecture)

    @given(settings, st.integers(0, 3), st.sampled_from([MEDIUM, SMALL]))
    def test_generations_are_full_until_the_space_is_used_up(self, options, seed, space):
        evolution, _ = run(space, seed, **options)
        sizes = [len(generation) for generation in evolution.generations]
        full, rest = divmod(space.size, options["population"])
        expected = ([options["population"]] * full + [rest] * (rest > 0))[: options["generations"]]
        assert sizes == expected

    @given(settings, st.integers(0, 3))
    def test_elites_are_the_best_of_all_time_and_never_fall(self, options, seed):
        evolution, _ = run(MEDIUM, seed, **options)
        assert list(evolution.elites) == elites_by_definition(evolution.generations, options["top"])
        assert evolution.best == evolution.elites[0].architecture
        shorter = [
            run(MEDIUM, seed, **{**options, "generations": count})[0].elites
            for count in range(1, options["generations"] + 1)
        ]
        for before, after in itertools.pairwise(shorter):
            assert all(old.score <= new.score for old, new in zip(before, after))

    def test_of_equal_scores_the_earliest_is_best(self):
        evolution, _ = run(
            MEDIUM, fitness=lambda architecture: 0.5, population=8, generations=3, mutants=3, crossovers=3
        )
        assert evolution.elites == tuple(scored for generation in evolution.generations for scored in generation)[:10]

    @given(settings, st.integers(0, 3))
    def test_the_seed_decides(self, options, seed):
        first, again = (run(MEDIUM, seed, **options)[0] for _ in range(2))
        assert first == again
        other = evolve(MEDIUM, SpyEvaluator(additive_fitness(MEDIUM, seed)).scores, seed + 1, **options)
        assert members(other.generations[0]) != members(first.generations[0])

    def test_a_longer_evolution_begins_like_a_shorter_one(self):
        short, long = (run(MEDIUM, generations=count)[0].generations for count in (4, 7))
        assert long[:4] == short

    def test_a_score_that_is_no_number(self):
        with pytest.raises(AvnasError, match=r"the score of Architecture.* is not a number: the weights have diverged"):
            run(SMALL, fitness=lambda architecture: float("nan"))

    def test_a_judge_that_loses_count(self):
        with pytest.raises(ValueError, match="argument 2 is shorter"):
            evolve(SMALL, lambda architectures: [0.0] * (len(architectures) - 1), 0)


class TestBreeding:
    def test_a_generation_holds_mutants_then_crossovers_then_random_ones(self):
        """With one elite a crossover is that elite, which was seen, so that only mutants are left to tell."""
        options = {"population": 30, "generations": 2, "mutants": 10, "crossovers": 10, "mutation": 0.05, "top": 1}
        evolution, _ = run(FULL, **options)
        elite = evolve(FULL, SpyEvaluator(additive_fitness(FULL, 0)).scores, 0, **{**options, "generations": 1}).best
        distances = [len(changed(elite, child)) for child in members(evolution.generations[1])]
        assert max(distances[:10]) <= 5  # 22 cells, of which 1.1 are drawn anew
        assert min(distances[10:]) >= 6  # 13 of 22 are expected to differ

    def test_crossovers_take_every_gene_from_an_elite(self):
        options = {"population": 30, "generations": 2, "mutants": 0, "crossovers": 20, "top": 4}
        evolution, _ = run(FULL, **options)
        elites = elites_by_definition(evolution.generations[:1], 4)
        pairs = [(a.architecture, b.architecture) for a in elites for b in elites]
        for child in members(evolution.generations[1])[:20]:
            assert any(all(child[cell] in (a[cell], b[cell]) for cell in child) for a, b in pairs)

    def test_the_course_follows_the_scores_and_not_only_the_seed(self):
        up, down = (run(FULL, fitness=lambda a, sign=sign: sign * additive_fitness(FULL, 0)(a))[0] for sign in (1, -1))
        assert members(up.generations[0]) == members(down.generations[0])
        assert members(up.generations[1]) != members(down.generations[1])

    def test_without_mutation_a_mutant_is_its_parent_and_is_refused(self):
        parent = FULL.sample(stream(0, "parent"))
        assert all(mutate(parent, FULL, 0.0, stream(seed, "child")) == parent for seed in range(20))
        evolution, _ = run(MEDIUM, mutation=0.0, crossovers=0, population=30)
        fresh, _ = run(MEDIUM, mutation=0.0, crossovers=0, mutants=0, population=30)
        assert [len(generation) for generation in evolution.generations] == [30] * 20  # filled with random ones
        assert members(evolution.generations[0]) == members(fresh.generations[0])

    def test_at_full_mutation_a_mutant_is_uniform_whatever_its_parent(self):
        parent = SMALL.sample(stream(0, "parent"))
        drawn = Counter(mutate(parent, SMALL, 1.0, stream(seed, "child")) for seed in range(9000))
        assert uniform_p([drawn[architecture] for architecture in every_architecture(SMALL)]) > 1e-3

    def test_a_cell_of_n_candidates_changes_with_probability_m_times_1_minus_1_over_n(self):
        parent = FULL.sample(stream(0, "parent"))
        children = [mutate(parent, FULL, 0.3, stream(seed, "child")) for seed in range(4000)]
        for cell in FULL.cells:
            expected = 0.3 * (1 - 1 / len(cell.candidates))
            rate = statistics.fmean(child[cell.name] != parent[cell.name] for child in children)
            assert abs(rate - expected) < 5 * np.sqrt(expected * (1 - expected) / len(children))

    def test_a_crossover_takes_each_gene_from_either_parent_evenly(self):
        first = FULL.architecture({cell.name: 0 for cell in FULL.cells})
        second = FULL.architecture({cell.name: 1 for cell in FULL.cells})
        children = [cross(first, second, stream(seed, "child")) for seed in range(4000)]
        assert all(child[cell] in (first[cell], second[cell]) for child in children for cell in child)
        for cell in first:
            taken = sum(child[cell] == first[cell] for child in children)
            assert uniform_p([taken, len(children) - taken]) > 1e-3 / len(first)
        assert cross(first, first, stream(0, "child")) == first


class TestQuality:
    """A fitness that adds up: what is good in one architecture is good in all, which breeding can use."""

    def test_it_finds_the_best_of_thousands(self):
        for seed in range(8):
            fitness = additive_fitness(MEDIUM, seed)
            evolution, evaluator = run(MEDIUM, seed, fitness, population=20, top=5, mutants=10, crossovers=10)
            assert evolution.best == best_by_enumeration(MEDIUM, fitness)
            assert len(evaluator.evaluated) == 400 < MEDIUM.size / 10

    def test_it_beats_random_search_at_equal_budget(self):
        gains = []
        for seed in range(30):
            fitness = additive_fitness(MEDIUM, seed)
            evolution, evaluator = run(
                MEDIUM, seed, fitness, population=20, generations=5, top=5, mutants=10, crossovers=10
            )
            drawn = draw_distinct(MEDIUM, len(evaluator.evaluated), stream(seed, "rival"))
            gains.append(evolution.elites[0].score - max(map(fitness, drawn)))
        losses, ties = sum(gain < 0 for gain in gains), sum(gain == 0 for gain in gains)
        assert losses + ties <= 5  # by chance at most 5 of 30 are not won with probability 0.0002
        assert statistics.fmean(gains) > 0
