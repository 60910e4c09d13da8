"""ENAS's policies: what they say of architectures against the equations, what they draw, and greedy decoding."""

import math

import numpy as np
import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.strategies.controller import Controller, FactorizedPolicy
from reference.strategies_enas import all_paths, lstm_policy, policy_entropy

SIZES = (3, 2, 4)
PATHS = all_paths(SIZES)


def spread(policy, scale=8.0):
    """In double precision, with parameters large enough that no distribution is near uniform."""
    policy.double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(scale)
    return policy


def controller(**options):
    return spread(Controller(SIZES, **{"hidden": 5, "temperature": 1.5, "tanh_constant": 2.5, **options}))


def factorized(**options):
    return spread(FactorizedPolicy(SIZES, **{"temperature": 1.5, "tanh_constant": 2.5, **options}), 20)


BOTH = pytest.mark.parametrize("make", [controller, factorized])


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"tanh_constant": 0.0}, {"tanh_constant": 1.1}])
def test_the_controller_is_the_lstm_written_out(options):
    policy = controller(**options)
    with torch.no_grad():
        decoded = policy.score(torch.tensor(PATHS))
    parameters = {name: parameter.detach() for name, parameter in policy.named_parameters()}
    for place, path in enumerate(PATHS):
        log_probability, entropy = lstm_policy(parameters, path, policy.temperature, policy.tanh_constant)
        assert float(decoded.log_probability[place]) == pytest.approx(float(log_probability), rel=1e-12)
        assert float(decoded.entropy[place]) == pytest.approx(float(entropy), rel=1e-12)
    assert float(decoded.log_probability.std()) > 0.1  # 0 for a uniform policy


def test_its_gradients_are_those_of_the_lstm_written_out():
    policy = controller()
    parameters = dict(policy.named_parameters())
    weights = torch.linspace(-1, 1, len(PATHS), dtype=torch.float64)
    decoded = policy.score(torch.tensor(PATHS))
    ours = torch.autograd.grad((weights * (decoded.log_probability + 0.3 * decoded.entropy)).sum(), parameters.values())
    pairs = [lstm_policy(parameters, path, policy.temperature, policy.tanh_constant) for path in PATHS]
    total = sum(weight * (log_p + 0.3 * entropy) for weight, (log_p, entropy) in zip(weights, pairs, strict=True))
    for name, mine, theirs in zip(parameters, ours, torch.autograd.grad(total, parameters.values()), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12, msg=name)
        assert mine.abs().max() > 1e-4, name


@BOTH
def test_probabilities_sum_to_one(make):
    assert float(make().score(torch.tensor(PATHS)).log_probability.detach().exp().sum()) == pytest.approx(1, abs=1e-12)


@BOTH
def test_the_mean_entropy_over_paths_is_the_policys(make):
    decoded = make().score(torch.tensor(PATHS))
    mean = float((decoded.log_probability.exp() * decoded.entropy).detach().sum())
    assert mean == pytest.approx(float(policy_entropy(decoded.log_probability.detach())), rel=1e-12)


@BOTH
def test_teacher_forcing_gives_what_sampling_gave_to_the_bit(make):
    policy = make()
    drawn = policy.sample(50, np.random.default_rng(0))
    again = policy.score(drawn.choices)
    for one, other in zip(drawn, again, strict=True):
        assert torch.equal(one, other)
    assert drawn.log_probability.requires_grad


@BOTH
def test_what_is_drawn_has_the_stated_probabilities(make):
    """Chi-square over all 24 architectures; with 23 degrees of freedom 1 of 10,000 draws exceeds 56."""
    policy, count = make(), 20_000
    drawn = policy.sample(count, np.random.default_rng(1)).choices
    expected = count * policy.score(torch.tensor(PATHS)).log_probability.detach().exp().numpy()
    places = {path: place for place, path in enumerate(PATHS)}
    seen = np.bincount([places[tuple(path)] for path in drawn.tolist()], minlength=len(PATHS))
    assert expected.min() > 5
    assert float(((seen - expected) ** 2 / expected).sum()) < 56


def test_marginals_are_sums_over_all_architectures():
    """Exact for a factorized policy; for the controller up to what 4,000 draws leave open."""
    for policy, tolerance in ((controller(), 0.01), (factorized(), 1e-12)):
        table = policy.score(torch.tensor(PATHS)).log_probability.detach().exp().reshape(SIZES)
        exact = [table.sum([other for other in range(len(SIZES)) if other != cell]) for cell in range(len(SIZES))]
        found = policy.marginals(4000, np.random.default_rng(2))
        for mine, theirs in zip(found, exact, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)


def test_the_controller_reads_what_it_has_chosen():
    """The second cell's distribution depends on the first choice; a factorized policy's does not."""
    for policy, depends in ((controller(), True), (factorized(), False)):
        table = policy.score(torch.tensor(PATHS)).log_probability.detach().exp().reshape(SIZES).sum(2)
        conditional = table / table.sum(1, keepdim=True)
        assert bool((conditional[0] - conditional[1]).abs().max() > 1e-3) == depends


@BOTH
def test_equal_generators_draw_alike_whatever_torch_does(make):
    policy, state = make(), torch.get_rng_state()
    first = policy.sample(20, np.random.default_rng(3)).choices
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(policy.sample(20, np.random.default_rng(3)).choices, first)
    assert not torch.equal(policy.sample(20, np.random.default_rng(4)).choices, first)


@BOTH
def test_greedy_takes_the_most_probable_candidate_given_those_before(make):
    for seed in range(5):
        policy = make(seed=seed)
        table = policy.score(torch.tensor(PATHS)).log_probability.detach().exp().reshape(SIZES)
        first = int(table.sum((1, 2)).argmax())
        second = int(table[first].sum(1).argmax())
        assert policy.greedy() == (first, second, int(table[first, second].argmax()))


def test_tanh_bounds_every_probability():
    """With 8 candidates and a constant of 2.5 none exceeds 0.955, however sure the logits are; without tanh it does."""
    policy = FactorizedPolicy((8,), temperature=5.0, tanh_constant=2.5)
    with torch.no_grad():
        policy.logits[0].copy_(torch.tensor([1000.0, *[-1000.0] * 7]))
    share = math.exp(2.5) / (math.exp(2.5) + 7 * math.exp(-2.5))
    assert share == pytest.approx(0.955, abs=5e-4)
    assert float(policy.score(torch.tensor([[0]])).log_probability.detach().exp()) == pytest.approx(share)
    bounded, free = (policy.sample(500, np.random.default_rng(0), tanh=tanh).choices for tanh in (True, False))
    assert 1 <= int(bounded.count_nonzero()) <= 50
    assert int(free.count_nonzero()) == 0


@pytest.mark.parametrize("make", [Controller, FactorizedPolicy])
def test_all_parameters_start_uniform_by_the_seed(make):
    policy = make((8,) * 40, seed=3)
    values = torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])
    assert float(values.abs().max()) <= 0.1
    edges = torch.linspace(-0.1, 0.1, 11)
    counts = torch.histogram(values, edges).hist
    expected = len(values) / 10
    assert float(((counts - expected) ** 2 / expected).sum()) < 33.7  # 9 degrees of freedom, 1 of 10,000
    state = torch.get_rng_state()
    same, other = make((8,) * 40, seed=3), make((8,) * 40, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, policy.parameters(), same.parameters()))
    assert not any(map(torch.equal, policy.parameters(), other.parameters()))


@BOTH
def test_one_cell(make):
    policy = type(make())((4,))
    drawn = policy.sample(6, np.random.default_rng(0))
    assert drawn.choices.shape == (6, 1)
    assert drawn.log_probability.shape == drawn.entropy.shape == (6,)
    assert all(parameter.grad_fn is None and parameter.requires_grad for parameter in policy.parameters())
    gradients = torch.autograd.grad(drawn.log_probability.sum(), list(policy.parameters()))  # none is left out
    assert all(gradient is not None for gradient in gradients)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "strategy.hidden must be at least 1, got 0"),
        ({"temperature": 0.0}, "strategy.temperature must be positive, got 0.0"),
        ({"temperature": float("nan")}, "strategy.temperature must be positive, got nan"),
        ({"tanh_constant": -1.0}, "strategy.tanh_constant must not be negative, got -1.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=message):
        Controller((2, 3), **options)
