"""AVHash's loss in loops over anchors, from its definition: five InfoNCE terms, Python floats."""

from collections.abc import Sequence

from reference.objectives_info_nce import equation_36, in_batch

Rows = Sequence[Sequence[float]]


def paired(codes: Rows, visual: Rows, audio: Rows, negatives: int, alignment: float, temperature: float) -> float:
    """Groups of an anchor, its positive and its negatives, in rows one after the other."""
    total = 0.0
    starts = range(0, len(codes), 2 + negatives)
    for a in starts:
        others = range(a + 2, a + 2 + negatives)

        def term(anchors: Rows, compared: Rows, a: int = a, others: range = others) -> float:
            return equation_36(anchors[a], compared[a + 1], [compared[n] for n in others], temperature)

        alike = term(audio, audio) + term(visual, visual) + term(audio, visual) + term(visual, audio)
        total += term(codes, codes) + alignment * alike
    return total / len(starts)


def joint(
    codes: Rows, visual: Rows, audio: Rows, labels: Sequence[set[int]], alignment: float, temperature: float
) -> float:
    """All that a batch holds, both modalities side by side."""
    both = in_batch([*visual, *audio], [*labels, *labels], temperature)
    return in_batch(codes, labels, temperature) + 4 * alignment * both
