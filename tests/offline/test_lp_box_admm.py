import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.offline import CenterProblem, improve, lp_box_admm, separated_codes, separation_bound, solve
from reference.offline_centers import best_objective, objective


def small_problem(seed: int) -> tuple[CenterProblem, np.ndarray] | None:
    """A problem of 4 to 8 bits and 3 to 8 centers with a code that keeps the separation; None where there is none."""
    random = np.random.default_rng(seed)
    bits, centers = int(random.integers(4, 9)), int(random.integers(3, 9))
    separation = separation_bound(bits, centers)
    try:
        codes = random.permutation(separated_codes(bits, centers, separation, random))
    except AvnasError:
        return None
    wanted = random.uniform(-bits, bits, centers - 1)
    return CenterProblem(codes[1:], wanted, separation, float(random.choice([0.1, 1, 10]))), codes[0]


problems = st.integers(0, 10_000).map(small_problem).filter(lambda made: made is not None)


@settings(max_examples=100)
@given(problems)
def test_a_solution_keeps_the_separation_and_is_no_worse_than_the_start(made):
    problem, start = made
    code = solve(problem, start)
    assert ((code != problem.others).sum(1) >= problem.separation).all()
    assert problem.objective(code) <= problem.objective(start)
    assert np.isclose(problem.objective(code), objective(code, problem.others, problem.targets, problem.weight))


def test_solutions_are_nearly_always_optimal():
    made = [found for seed in range(120) if (found := small_problem(seed)) is not None]
    best = [best_objective(p.others, p.targets, p.separation, p.weight) for p, _ in made]
    found = [p.objective(solve(p, start)) for p, start in made]
    reached = np.isclose(found, best)
    assert len(made) > 100
    assert reached.mean() >= 0.95


def test_admm_alone_is_close_to_optimal():
    """Where the rounded point keeps the separation, it is much nearer to the best objective than random codes are."""
    shares = []
    for seed in range(120):
        made = small_problem(seed)
        if made is None:
            continue
        problem, start = made
        code = np.where(lp_box_admm(problem, start) >= 0, 1.0, -1.0)
        if problem.excess(code) > 0:
            continue
        best = best_objective(problem.others, problem.targets, problem.separation, problem.weight)
        random = np.random.default_rng(seed).choice([-1.0, 1.0], (200, len(start)))
        typical = np.mean([problem.objective(other) for other in random])
        shares.append((problem.objective(code) - best) / (typical - best))
    assert len(shares) > 60
    assert np.mean(shares) < 0.1


@settings(max_examples=100)
@given(problems)
def test_improved_codes_are_optimal_within_two_flips(made):
    problem, start = made
    code = improve(problem, start)
    bits = len(code)
    for first in range(bits):
        for second in range(first, bits):
            other = code.copy()
            other[[first, second]] *= -1
            if ((other != problem.others).sum(1) >= problem.separation).all():
                assert problem.objective(other) >= problem.objective(code) - 1e-6


def test_code_too_near_to_another_is_moved_away():
    others = separated_codes(16, 20, 6, np.random.default_rng(0))
    problem = CenterProblem(others[1:], np.zeros(19), 6)
    led = improve(problem, others[1])
    assert problem.excess(others[1]) > 0
    assert ((led != problem.others).sum(1) >= 6).all()


def test_solution_is_deterministic():
    codes = separated_codes(32, 40, 10, np.random.default_rng(0))
    wanted = np.random.default_rng(1).uniform(-32, 32, 39)
    first, second = (solve(CenterProblem(codes[1:], wanted, 10), codes[0]) for _ in range(2))
    assert np.array_equal(first, second)
