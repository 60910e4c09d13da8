"""Codes with a smallest distance between any two: the start of the search for hash centers."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError

Codes = NDArray[np.float64]

_BLOCK = 512
_PATIENCE = 40
_BITS_TO_LIST = 24


def separation_bound(bits: int, centers: int) -> int:
    """Computes the smallest Hamming distance that S5VH requires of its hash centers, after Gilbert and Varshamov.

    It is the smallest d with C(K, 0) + ... + C(K, d - 1) >= 2^K / N. Their theorem guarantees N codes at the distance
    d - 1. At d such codes exist for nearly all settings in use, but not always: at most 20 codes of 8 bits have
    distance 3.

    Args:
        bits: K, at least 1.
        centers: N, from 2 to 2^K.

    Raises:
        AvnasError: An argument is out of its range.

    >>> [separation_bound(bits, 100) for bits in (16, 32, 64)]
    [4, 10, 24]
    """
    if bits < 1 or not 2 <= centers <= 2**bits:
        raise AvnasError(f"{centers} hash centers of {bits} bits: there must be from 2 to {2 ** max(bits, 1)}")
    covered = distance = 0
    while covered * centers < 2**bits:
        covered += math.comb(bits, distance)
        distance += 1
    return distance


def separated_codes(bits: int, centers: int, separation: int, random: np.random.Generator) -> Codes:
    """Finds codes of which any two differ in at least `separation` bits.

    From a stream of candidates, it takes each one that is far enough from those taken before. If K is a power of two,
    the candidates begin with the rows of the Hadamard matrix and their negatives; these 2 K codes differ in K / 2 bits
    or all. The others are drawn at random, with half of the bits set, until 20,000 draws in a row are rejected. If
    that is not enough, up to 24 bits, all codes are tried in the order of their numbers, which often yields more.

    Args:
        bits: K.
        centers: N, number of codes.
        separation: Smallest distance.
        random: Generator of the draws.

    Returns:
        (N, K), +-1.

    Raises:
        AvnasError: Not enough codes were found.
    """
    taken = _spread(_candidates(bits, random), bits, centers, separation, _PATIENCE)
    if len(taken) < centers and bits <= _BITS_TO_LIST:
        taken = max(taken, _spread(_all_codes(bits), bits, centers, separation, 2**bits), key=len)
    if len(taken) < centers:
        raise AvnasError(
            f"{centers} hash centers of {bits} bits at a distance of {separation} from each other: only {len(taken)} "
            f"were found; take fewer centers, more bits or separation={separation - 1}"
        )
    return taken


def _spread(blocks: Iterator[Codes], bits: int, centers: int, separation: int, patience: int) -> Codes:
    """Takes candidates in order that are far enough from all taken, until `patience` blocks in a row hold none."""
    taken = np.empty((centers, bits))
    count = rejected = 0
    largest = bits - 2 * separation
    for block in blocks:
        free: NDArray[np.bool_] = np.all(block @ taken[:count].T <= largest, axis=1)
        rejected = 0 if free.any() else rejected + 1
        while count < centers and free.any():
            first = int(free.argmax())
            taken[count] = block[first]
            count += 1
            free &= block @ block[first] <= largest
        if count == centers or rejected == patience:
            break
    return taken[:count]


def _candidates(bits: int, random: np.random.Generator) -> Iterator[Codes]:
    if bits & (bits - 1) == 0:
        rows = np.ones((1, 1))
        while len(rows) < bits:  # Sylvester's construction
            rows = np.block([[rows, rows], [rows, -rows]])
        yield np.concatenate([rows, -rows])
    balanced = np.where(np.arange(bits) < bits // 2, -1.0, 1.0)
    while True:
        yield random.permuted(np.tile(balanced, (_BLOCK, 1)), axis=1)


def _all_codes(bits: int) -> Iterator[Codes]:
    for start in range(0, 2**bits, _BLOCK):
        numbers = np.arange(start, min(start + _BLOCK, 2**bits))
        yield np.where(numbers[:, None] >> np.arange(bits) & 1, 1.0, -1.0)
