import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import chance_scores, evaluate, pack, random_projection_codes


def clusters(seed, per_class=20, classes=5, width=12):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(classes).repeat_interleave(per_class)
    features = centers[labels] + 0.3 * torch.randn(len(labels), width, generator=generator)
    return features, torch.eye(classes, dtype=torch.bool)[labels]


def test_equal_bits_measure_the_angle():
    """A bit differs with chance angle / pi (Goemans and Williamson); 20,000 bits, 5 standard deviations."""
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 1, 1, 100, 1, 1]) + 7
    codes = random_projection_codes(features, bits=20_000)
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    angle = torch.arccos(torch.nn.functional.cosine_similarity(standard[0], standard[1], dim=0)) / torch.pi
    differ = (codes[0] != codes[1]).double().mean()
    assert abs(differ - angle) < 5 * (angle * (1 - angle) / 20_000) ** 0.5


def test_reference_makes_hashes_comparable():
    database, _ = clusters(0)
    together = random_projection_codes(database, bits=32, seed=4)
    alone = random_projection_codes(database[:3], bits=32, seed=4, reference=database)
    assert torch.equal(alone, together[:3])
    assert not torch.equal(alone, random_projection_codes(database[:3], bits=32, seed=5, reference=database))


def test_constant_features_are_harmless():
    features, _ = clusters(0)
    with_constant = torch.cat([features, torch.full((len(features), 1), 3.0)], dim=1)
    assert random_projection_codes(with_constant, bits=8).abs().sum() == len(features) * 8


def test_projections_beat_chance():
    database, labels = clusters(0)
    queries, query_labels = clusters(1)
    codes = [pack(random_projection_codes(x, bits=64, reference=database)) for x in (queries, database)]
    hashed = evaluate(codes[0], query_labels, codes[1], labels, ks=(10,))
    chance = chance_scores(query_labels, labels, ks=(10,))
    assert hashed.average_precision[10]["standard"] > 2 * chance.average_precision[10]["standard"]
    assert chance.precision[10] == pytest.approx(1 / 5)
    assert chance.recall[10] == pytest.approx(10 / 100)


def test_chance_is_the_mean_over_random_codes():
    """300 draws of codes long enough to have no ties; 5 standard errors."""
    _, labels = clusters(0, per_class=8)
    generator = torch.Generator().manual_seed(0)
    draws = []
    for _ in range(300):
        codes = torch.randint(0, 256, (len(labels), 64), dtype=torch.uint8, generator=generator)
        query = torch.randint(0, 256, (1, 64), dtype=torch.uint8, generator=generator)
        draws.append(evaluate(query, labels[:1], codes, labels, ks=(10,)).average_precision[10])
    for name, expected in chance_scores(labels[:1], labels, ks=(10,)).average_precision[10].items():
        sample = torch.tensor([draw[name] for draw in draws], dtype=torch.float64)
        assert abs(sample.mean() - expected) < 5 * sample.std() / len(draws) ** 0.5, name


def test_invalid_features_are_reported():
    with pytest.raises(AvnasError, match=r"features: expected shapes \(n, d\) and \(m, d\), got \(2, 3\) and \(2, 4\)"):
        random_projection_codes(torch.zeros(2, 3), 8, reference=torch.zeros(2, 4))
    with pytest.raises(AvnasError, match="bits: expected at least 1, got 0"):
        random_projection_codes(torch.zeros(2, 3), 0)
