"""GDAS: what a sampled step computes, which gradient alpha gets of it, and how the samples are drawn."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture
from avhash_nas.strategies import GDAS, SearchProgress
from strategies.bilevel import SPACE, RoteOrRule, search

QUICK = (partial(GDAS, lr=0.05),)
"""For the conformance checks: options that suit short searches."""


def begun(space, seed=0, scale=1.0, **options):
    strategy = GDAS(init_scale=scale, **options)
    strategy.setup_search(space, seed)
    return strategy


def steps(count):
    return [SearchProgress(step // 50, step % 50, count // 50, 50) for step in range(count)]


class TestSamples:
    @pytest.mark.parametrize("tau", [(10.0, 10.0), (0.1, 0.1)])
    def test_a_candidate_is_drawn_in_proportion_to_its_probability(self, space, tau):
        """Whatever tau is; chi-square against softmax(alpha) at 1e-4, over the cells of one step after another."""
        strategy = begun(space, tau=tau)
        probabilities = {name: p.detach() for name, p in strategy.architecture.probabilities().items()}
        count = 1000
        for draw in (strategy.route, strategy.architecture_route):
            routes = [draw(progress) for progress in steps(count)]
            for cell in space.choices:
                chosen = [route[cell.name] for route in routes]
                chosen = [c.candidates[0] if isinstance(c, Mixture) else c for c in chosen]
                found = torch.bincount(torch.tensor(chosen), minlength=len(cell.candidates))
                expected = count * probabilities[cell.name]
                chi_square = float(((found - expected) ** 2 / expected).sum())
                degrees = torch.tensor((len(cell.candidates) - 1) / 2)
                assert 1 - torch.special.gammainc(degrees, torch.tensor(chi_square / 2)) > 1e-4

    def test_cells_and_both_kinds_of_step_draw_independently(self, space):
        strategy = begun(space, scale=0.0)
        trained = [strategy.route(progress) for progress in steps(1000)]
        searched = [strategy.architecture_route(progress) for progress in steps(1000)]
        same = sum(a["F"] == b["F"].candidates[0] for a, b in zip(trained, searched, strict=True))
        cells = sum(a["F"] == a["audio.D1"] for a in trained)
        for hits in (same, cells):
            assert abs(hits - 500) < 5 * math.sqrt(1000 / 4)

    def test_they_are_a_function_of_state_seed_and_moment(self, space):
        first, again, other = begun(space), begun(space), begun(space, seed=1)
        other.architecture.load_state_dict(first.architecture.state_dict())
        backwards = [again.route(progress) for progress in reversed(steps(50))]
        forwards = [first.route(progress) for progress in steps(50)]
        assert forwards == backwards[::-1]
        assert forwards != [other.route(progress) for progress in steps(50)]

    def test_what_is_decided_is_drawn(self):
        strategy = begun(SPACE)
        with torch.no_grad():
            strategy.architecture.logits[0].copy_(torch.tensor([0.0, 1000.0]))
        assert {strategy.route(progress)["T"] for progress in steps(50)} == {1}

    @given(
        logits=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=2),
        step=st.integers(0, 10**6),
        tau=st.floats(1e-3, 1e3),
    )
    def test_weights_and_gradients_are_finite_however_far_alpha_goes(self, logits, step, tau):
        strategy = begun(SPACE, tau=(tau, tau))
        with torch.no_grad():
            strategy.architecture.logits[0].copy_(torch.tensor(logits))
        weights = strategy.architecture_route(SearchProgress(0, step, 1, 10**6))["T"].weights
        assert weights.tolist() == [1.0]
        (gradient,) = torch.autograd.grad(weights.sum(), strategy.architecture.parameters())
        assert gradient.isfinite().all()


class TestStep:
    @pytest.fixture
    def batch(self):
        generator = torch.Generator().manual_seed(1)
        shapes = (6, 4, 8), (6, 4, 6)
        visual, audio = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        return Batch(visual, audio, torch.eye(3, dtype=torch.bool).repeat(2, 1), torch.arange(6))

    def test_its_output_is_the_sampled_networks_to_the_bit(self, make_module, space, batch):
        module, strategy = make_module(space).double(), begun(space)
        strategy.architecture.double()
        for progress in steps(50)[::10]:
            route = strategy.architecture_route(progress)
            path = {cell: choice.candidates[0] for cell, choice in route.items()}
            assert torch.equal(module.loss(batch, route), module.loss(batch, path))

    @pytest.mark.parametrize("progress", [0, 45])
    def test_alphas_gradient_is_that_of_the_straight_through_weight(self, make_module, space, batch, progress):
        """<dL/dy, o_k> p_k ([j = k] - p_j) / tau, with dL/dy taken where the candidate's output enters the network."""
        module, strategy = make_module(space).double(), begun(space)
        strategy.architecture.double()
        progress = SearchProgress(progress, 3, 50, 10)
        route = strategy.architecture_route(progress)
        alphas = list(strategy.architecture.parameters())
        found = torch.autograd.grad(module.loss(batch, route), alphas)
        outputs = {}
        for cell in space.choices:
            mixed = module.network.get_submodule(cell.name)
            mixed.register_forward_hook(lambda _, __, output, name=cell.name: outputs.update({name: output}))
        loss = module.loss(batch, {cell: choice.candidates[0] for cell, choice in route.items()})
        by_output = dict(zip(outputs, torch.autograd.grad(loss, list(outputs.values())), strict=True))
        tau = 10 + (0.1 - 10) * progress.fraction
        noisy = strategy._noisy(progress, "gdas alpha")
        for cell, gradient in zip(space.choices, found, strict=True):
            p = torch.softmax(noisy[cell.name].detach() / tau, 0)
            (k,) = route[cell.name].candidates
            along = (by_output[cell.name] * outputs[cell.name]).sum().detach()
            expected = [float(along * p[k] * (float(j == k) - p[j]) / tau) for j in range(len(p))]
            torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-15)
            assert gradient.abs().max() > 0

    def test_only_sampled_candidates_run_and_are_trained(self, make_module, space, batch):
        module, strategy = make_module(space).double(), begun(space)
        strategy.architecture.double()
        progress, ran = SearchProgress(0, 1, 1, 4), []
        for cell in space.choices:
            operators = module.network.get_submodule(cell.name).operators
            for place, operator in enumerate(operators.values()):
                operator.register_forward_hook(lambda *_, key=(cell.name, place): ran.append(key))
        for route in (strategy.route(progress), strategy.architecture_route(progress)):
            ran.clear()
            module.loss(batch, route).backward()
            places = {c: choice.candidates[0] if isinstance(choice, Mixture) else choice for c, choice in route.items()}
            assert sorted(ran) == sorted(places.items())
            for cell in space.choices:
                for place, operator in enumerate(module.network.get_submodule(cell.name).operators.values()):
                    for parameter in operator.parameters():
                        assert (parameter.grad is not None) == (place == places[cell.name])
            module.zero_grad()


def test_two_levels_find_what_generalizes():
    module = RoteOrRule()
    assert search(GDAS(lr=0.02), module, module.rows(0, 8), module.rows(8, 16)).argmax() == 1


def test_a_search_in_a_trainer(make_module, make_data, make_trainer):
    strategy = GDAS(lr=0.05)
    trainer, module = make_trainer(2), make_module(dropout=0.1, strategy=strategy)
    trainer.fit(module, datamodule=make_data())
    start = begun(strategy.space, scale=1e-3).architecture.logits
    assert not any(map(torch.equal, strategy.architecture.logits, start))
    assert module.scores.keys() == {"supernet", "derived"}
    assert trainer.logged_metrics["architecture/temperature"] == pytest.approx(0.1)
    strategy.space.check(strategy.derive())


def test_tau_falls_linearly(space):
    strategy = begun(space)
    assert [strategy.tau_at(SearchProgress(epoch, 0, 4, 9)) for epoch in range(5)] == pytest.approx(
        [10, 7.525, 5.05, 2.575, 0.1]
    )
    assert strategy.summary(SearchProgress(2, 0, 4, 9))["temperature"] == pytest.approx(5.05)
    assert begun(space, scale=0.0).summary(SearchProgress(2, 0, 4, 9))["entropy"] == pytest.approx(
        1
    )  # of softmax(alpha)


@pytest.mark.parametrize("tau", [(0.0, 0.1), (10.0, -1.0), (float("nan"), 0.1), (float("inf"), 0.1)])
def test_tau_out_of_range(tau):
    with pytest.raises(AvnasError, match=r"strategy\.tau must be positive at both ends, got"):
        GDAS(tau=tau)
