"""One hash center with all others fixed: a binary quadratic program, solved by the Lp-box ADMM and bit flips."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_STEP = (1 + 5**0.5) / 2
_ROUNDS = 30
_FIRST_PENALTY = 0.05
_GROWTH = 1.2


@dataclass(frozen=True, eq=False)
class CenterProblem:
    """Find a code b of K bits that minimizes mean(H b) + weight * ||H b - s||^2 with H b <= K - 2 * separation.

    The first term keeps the code away from the others, the second pulls its inner products to their targets; the
    constraint is a Hamming distance of at least `separation` from each other code.

    Args:
        others: H, the other codes, +-1, (N, K).
        targets: s, the target inner products, from -K to K, (N,).
        separation: Smallest Hamming distance to another code.
        weight: Weight of the second term, above 0.
    """

    others: Vector
    targets: Vector
    separation: int
    weight: float = 1.0

    @property
    def largest(self) -> int:
        """Returns the largest inner product with another code that the separation allows."""
        return int(self.others.shape[1]) - 2 * self.separation

    @cached_property
    def gram(self) -> Vector:
        """Computes H^T H, (K, K)."""
        gram: Vector = self.others.T @ self.others
        return gram

    @cached_property
    def linear(self) -> Vector:
        """Computes the linear part, (K,): the objective is weight * b^T H^T H b + linear^T b + constant."""
        linear: Vector = self.others.mean(0) - 2 * self.weight * (self.others.T @ self.targets)
        return linear

    def objective(self, code: Vector) -> float:
        """Computes the value to be minimized for a code b, (K,)."""
        products = self.others @ code
        return float(products.mean() + self.weight * ((products - self.targets) ** 2).sum())

    def excess(self, code: Vector) -> float:
        """Computes the sum by which inner products are too large; 0 for a code b, (K,), that keeps the separation."""
        return float((self.others @ code - self.largest).clip(0).sum())


def lp_box_admm(problem: CenterProblem, start: Vector) -> Vector:
    """Finds a real point near a good code by the Lp-box ADMM (Wu and Ghanem, TPAMI 2019), as in S5VH.

    The codes are the intersection of the box [-1, 1]^K with the sphere of radius sqrt(K): b is split into a copy in
    each, and a slack variable takes the inequality; dual steps have the factor (1 + sqrt(5)) / 2. The released code
    starts each problem from random duals and spends thousands of iterations on it, with a penalty that grows from 5e-5
    to 1e9 by 1.07. Here duals start at zero, the penalty is relative to the curvature 2 * weight * N of the objective,
    and 30 iterations suffice, as `solve` also searches the neighboring codes.

    Args:
        problem: The problem to solve.
        start: Initial code, (K,).

    Returns:
        (K,); the signs are the code.
    """
    others, bits = problem.others, problem.others.shape[1]
    identity = np.eye(bits)
    curvature = 2 * problem.weight * len(others)
    penalty = _FIRST_PENALTY * curvature
    b = start.astype(np.float64)
    box, sphere = b.copy(), b.copy()
    slack = (problem.largest - others @ b).clip(0)
    to_box, to_sphere, to_slack = np.zeros(bits), np.zeros(bits), np.zeros(len(others))
    for _ in range(_ROUNDS):
        pull = penalty * (box + sphere) + others.T @ (penalty * (problem.largest - slack) - to_slack)
        right = pull - to_box - to_sphere - problem.linear
        # One eigendecomposition would serve all rounds, but on a busy machine its threads wait for each other.
        system: Vector = 2 * penalty * identity + (penalty + 2 * problem.weight) * problem.gram
        b = np.linalg.solve(system, right).astype(np.float64, copy=False)
        products = others @ b
        box = (b + to_box / penalty).clip(-1, 1)
        sphere = b + to_sphere / penalty
        sphere *= bits**0.5 / max(float(np.linalg.norm(sphere)), 1e-12)
        slack = (problem.largest - products - to_slack / penalty).clip(0)
        step = _STEP * penalty
        to_box += step * (b - box)
        to_sphere += step * (b - sphere)
        to_slack += step * (products + slack - problem.largest)
        penalty *= _GROWTH
    return b


def improve(problem: CenterProblem, code: Vector) -> Vector:
    """Flips one or two bits of a code, +-1, (K,), as long as that helps, the best flips first.

    A code that breaks the separation is first improved by single flips to one that breaks it less; the search may stop
    there.
    """
    code = _towards_separation(problem, code)
    if problem.excess(code) > 0:
        return code
    while (better := _better_neighbor(problem, code)) is not None:
        code = better
    return code


def solve(problem: CenterProblem, start: Vector) -> Vector:
    """Finds a good code that keeps the separation: `improve` from the ADMM's point and from the start, the better one.

    Of 470 random problems of 4 to 8 bits and 3 to 8 centers this solves 461 optimally; improving only the start solves
    433, and rounding the ADMM's point without flips 313 (in 90 it breaks the separation).

    Args:
        problem: The problem to solve.
        start: A code that keeps the separation, +-1, (K,).
    """
    rounded = np.where(lp_box_admm(problem, start) >= 0, 1.0, -1.0)
    candidates = [improve(problem, code) for code in (start, rounded)]
    return min((code for code in candidates if problem.excess(code) == 0), key=problem.objective)


def _towards_separation(problem: CenterProblem, code: Vector) -> Vector:
    excess = problem.excess(code)
    while excess > 0:
        flipped = (problem.others @ code)[:, None] - 2 * problem.others * code
        after = (flipped - problem.largest).clip(0).sum(0)
        best = int(after.argmin())
        if after[best] >= excess:
            return code
        excess = float(after[best])
        code = code.copy()
        code[best] *= -1
    return code


def _better_neighbor(problem: CenterProblem, code: Vector) -> Vector | None:
    """Finds the best code within two flips that keeps the separation and is better; None if there is none."""
    gradient = 2 * problem.weight * (problem.gram @ code) + problem.linear
    single = -2 * code * gradient + 4 * problem.weight * np.diag(problem.gram)
    change = single[:, None] + single + 8 * problem.weight * np.outer(code, code) * problem.gram
    np.fill_diagonal(change, single)
    change[_too_near(problem, code)] = np.inf
    best = int(change.argmin())
    if change.flat[best] >= -1e-9 * problem.weight * len(problem.others):  # rounding errors of 0
        return None
    neighbor = code.copy()
    neighbor[list(set(divmod(best, len(code))))] *= -1
    return neighbor


def _too_near(problem: CenterProblem, code: Vector) -> NDArray[np.bool_]:
    """Tells which two flips, or on the diagonal which single flip, break the separation, (K, K)."""
    margin = problem.largest - problem.others @ code
    nearer = problem.others * code < 0  # flips that bring another code nearer, its inner product up by 2
    pairs = nearer[margin < 4].astype(np.float64)
    broken: NDArray[np.bool_] = pairs.T @ pairs > 0
    np.fill_diagonal(broken, nearer[margin < 2].any(0))
    return broken
