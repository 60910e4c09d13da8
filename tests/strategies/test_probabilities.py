"""What strategies say of their candidates' probabilities fits what else they say."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from avhash_nas.strategies import (
    AVNAS,
    DARTS,
    ENAS,
    GDAS,
    SPOS,
    ProxylessNAS,
    RandomSearch,
    SearchProgress,
    SharedRandom,
)

LATE = SearchProgress(epoch=8, batch=0, epochs=10, batches=4)
RELAXED = [
    partial(AVNAS, init_scale=1.0, temperature=0.2),
    partial(AVNAS, init_scale=1.0, temperature=0.2, discretize_at=0.5),
    partial(DARTS, init_scale=1.0, auxiliary_skip=True),
    partial(GDAS, init_scale=1.0),
    partial(ProxylessNAS, init_scale=1.0),
]


def begun(make, space):
    strategy = make()
    strategy.setup_search(space, 0)
    return strategy


def mean_entropy(found):
    """Of some cells, each in units of its maximum."""
    each = [-sum(p * math.log(p) for p in values) / math.log(len(values)) for values in found.values()]
    return sum(each) / len(each)


@pytest.mark.parametrize("make", RELAXED)
def test_logged_entropy_and_derived_architecture_are_those_of_the_probabilities(make, space):
    strategy = begun(make, space)
    found = strategy.probabilities(LATE)
    assert list(found) == [cell.name for cell in space.choices]
    assert mean_entropy(found) == pytest.approx(strategy.summary(LATE)["entropy"], rel=1e-5)
    derived = strategy.derive()
    for cell, values in found.items():
        assert sum(values) == pytest.approx(1)
        assert space[cell].candidates[values.index(max(values))] == derived[cell]


def test_a_falling_temperature_sharpens_them(space):
    strategy = begun(RELAXED[0], space)
    early, late = (strategy.probabilities(replace(LATE, epoch=epoch)) for epoch in (0, 8))
    assert mean_entropy(late) < mean_entropy(early)


@pytest.mark.parametrize("autoregressive", [True, False])
def test_enas_tells_what_its_controller_would_draw(autoregressive, space):
    strategy = begun(partial(ENAS, autoregressive=autoregressive), space)
    with torch.no_grad():
        for parameter in strategy.architecture.policy.parameters():
            parameter.mul_(30)
    found = strategy.probabilities(LATE)
    drawn = [strategy.route(replace(LATE, epoch=epoch)) for epoch in range(2000)]
    for cell, values in found.items():
        shares = [sum(path[cell] == place for path in drawn) / len(drawn) for place in range(len(values))]
        assert shares == pytest.approx(values, abs=0.1)


@pytest.mark.parametrize("make", [SPOS, SharedRandom, RandomSearch])
def test_strategies_without_probabilities_give_none(make, space):
    assert begun(make, space).probabilities(LATE) == {}
