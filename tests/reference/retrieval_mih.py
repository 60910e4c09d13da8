"""Multi-index hashing in loops over dictionaries, after Norouzi et al., Algorithm 1: slow and obvious."""

from itertools import combinations


def nearest(codes, query, k, lengths):
    """The k nearest (distance, row) of some codes, integers, by radius of the substrings.

    Args:
        codes: One integer a code.
        query: An integer.
        k: At most the number of codes.
        lengths: Bits of each substring, from the lowest bit on.
    """
    starts = [sum(lengths[:j]) for j in range(len(lengths))]
    cut = [lambda code, s=start, n=length: (code >> s) % 2**n for start, length in zip(starts, lengths, strict=True)]
    tables = [{} for _ in lengths]
    for row, code in enumerate(codes):
        for table, part in zip(tables, cut, strict=True):
            table.setdefault(part(code), []).append(row)
    found = set()
    for radius in range(max(lengths) + 1):
        for j, (table, part, length) in enumerate(zip(tables, cut, lengths, strict=True)):
            for bits in combinations(range(length), radius):
                for row in table.get(part(query) ^ sum(2**bit for bit in bits), ()):
                    found.add(((codes[row] ^ query).bit_count(), row))
            complete = sorted(pair for pair in found if pair[0] <= len(lengths) * radius + j)
            if len(complete) >= k:
                return complete[:k]
    return sorted(found)[:k]
