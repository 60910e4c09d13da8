"""Hash centers by trying every code."""

from itertools import product

import numpy as np


def objective(code: np.ndarray, others: np.ndarray, wanted: np.ndarray, weight: float) -> float:
    products = [sum(a * b for a, b in zip(code, other, strict=True)) for other in others]
    apart = sum(products) / len(products)
    return apart + weight * sum((got - want) ** 2 for got, want in zip(products, wanted, strict=True))


def best_objective(others: np.ndarray, wanted: np.ndarray, separation: int, weight: float) -> float:
    codes = np.array(list(product((-1, 1), repeat=others.shape[1])))
    distances = (codes[:, None] != others).sum(2)
    allowed = codes[(distances >= separation).all(1)]
    return min(objective(code, others, wanted, weight) for code in allowed.tolist())


def bound(bits: int, centers: int) -> int:
    """The smallest d such that balls of radius d - 1 around so many codes could hold all codes of so many bits."""
    weights = [bin(code).count("1") for code in range(2**bits)]
    return next(d for d in range(1, bits + 2) if centers * sum(weight < d for weight in weights) >= 2**bits)
