import numpy as np
import pytest

from avhash_nas.offline import class_means, fit_thresholds, logits, pseudo_labels


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_labels_by_cosine_one_by_one():
    segments, classes, thresholds = random(3, 4, 5), random(2, 5, seed=1), [20.0, -10.0]
    weak = np.array([[1, 1], [0, 1], [1, 0]], bool)
    uncut, cut = (pseudo_labels(segments, classes, thresholds, which) for which in (None, weak))
    for v, t, c in np.ndindex(3, 4, 2):
        a, b = segments[v, t].astype(float), classes[c].astype(float)
        cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        assert uncut[v, t, c] == (100 * cosine > thresholds[c])
        assert cut[v, t, c] == (uncut[v, t, c] and weak[v, c])


def test_zero_vectors_are_similar_to_nothing():
    assert (logits(np.zeros((1, 2, 5), np.float32), random(3, 5)) == 0).all()


def test_class_means_find_planted_directions():
    """Each video of two classes shows both in turn; the means of videos with and without a class tell them apart."""
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.standard_normal((12, 12)))[0][:4]
    weak = np.zeros((400, 4), bool)
    for row in weak:
        row[generator.choice(4, 2, replace=False)] = True
    segments = np.stack([directions[np.repeat(np.flatnonzero(row), 3)] for row in weak])
    segments = (segments + 0.1 * generator.standard_normal(segments.shape)).astype(np.float32)
    means, center = class_means(segments, weak)
    values = logits(segments - center, means)
    labels = pseudo_labels(segments - center, means, fit_thresholds(values, weak), weak)
    truth = np.stack([np.eye(4, dtype=bool)[np.repeat(np.flatnonzero(row), 3)] for row in weak])
    assert (labels == truth).mean() > 0.95


def test_a_class_of_all_or_no_videos_has_no_mean_and_no_label():
    weak = np.array([[1, 0], [1, 0], [1, 0]], bool)
    segments = random(3, 4, 5)
    means, center = class_means(segments, weak)
    assert not means.any()
    assert np.isinf(fit_thresholds(logits(segments - center, means), weak)[1])


@pytest.mark.parametrize("seed", range(5))
def test_thresholds_have_the_best_f_score_of_all(seed):
    values = random(30, 4, 3, seed=seed)
    weak = np.random.default_rng(seed).random((30, 3)) < 0.4
    peaks = values.max(axis=1)
    for label, threshold in enumerate(fit_thresholds(values, weak)):

        def f_score(limit, label=label):
            found = peaks[:, label] > limit
            return 2 * (found & weak[:, label]).sum() / (found.sum() + weak[:, label].sum())

        candidates = np.concatenate([peaks[:, label] - 1e-6, [peaks.min() - 1]])
        assert f_score(threshold) == pytest.approx(max(map(f_score, candidates)))
