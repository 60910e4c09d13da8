"""AV-NAS: the joint step (Eq. 40), the mixture (Eq. 39), pruning by argmax (Eq. 42-43), temperature and warm-up."""

import itertools
import math
from functools import partial

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, mixture_route, prune
from avhash_nas.objectives import info_nce
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies import AVNAS, SearchProgress
from avhash_nas.strategies.logits import ArchitectureLogits
from avhash_nas.training import Recipe
from reference.strategies_adam import joint_adam

QUICK = (
    partial(AVNAS, lr=0.05),
    partial(AVNAS, lr=0.05, temperature=0.1, warmup=0.1, discretize_at=0.6, select="derived"),
)
"""For the conformance checks: options that suit short searches."""

START = SearchProgress(epoch=0, batch=0, epochs=10, batches=4)


def begun(space, seed=0, **options):
    strategy = AVNAS(**options)
    strategy.setup_search(space, seed)
    return strategy


def spread(strategy, scale=1.0):
    """Draws alpha anew, so that no cell is uniform."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for logits in strategy.architecture.logits:
            logits.copy_(scale * torch.randn(logits.shape, generator=generator))
    return strategy


def batches(count):
    generator = torch.Generator().manual_seed(1)
    labels = torch.eye(3, dtype=torch.bool).repeat_interleave(2, 0)
    shapes = (6, 4, 8), (6, 4, 6)
    return [
        (*(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes), labels)
        for _ in range(count)
    ]


def searching(make_module, space, **options):
    """A module in double precision with AVNAS attached, as Lightning finds it before training."""
    strategy = AVNAS(**options)
    recipe = Recipe(lr=0.003, weight_decay=0.1, eps=1e-6)
    module = make_module(space, recipe=recipe, strategy=strategy).double()
    spread(strategy).architecture.double()
    return module, strategy


ALPHA = {"lr": 0.02, "betas": (0.5, 0.99), "weight_decay": 0.05}


class TestJointStep:
    def test_it_is_adam_on_the_one_loss_by_hand(self, make_module, space):
        module, strategy = searching(make_module, space, **ALPHA)
        optimizer = module.configure_optimizers()["optimizer"]
        for visual, audio, labels in batches(3):
            optimizer.zero_grad()
            info_nce(module.network(visual, audio, strategy.route(START)), labels, 0.1).backward()
            optimizer.step()
        stepped = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}

        module, strategy = searching(make_module, space, **ALPHA)
        parameters = dict(module.named_parameters())
        before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        alpha = {**ALPHA, "eps": 1e-6}
        weights = {"lr": 0.003, "betas": (0.9, 0.999), "eps": 1e-6}
        settings = {
            name: alpha
            if name.startswith("architecture.")
            else {**weights, "weight_decay": 0.1 if parameter.ndim > 1 and "A_log" not in name else 0.0}
            for name, parameter in parameters.items()
        }

        def loss_of(visual, audio, labels):
            probabilities = {
                cell.name: torch.softmax(logits, 0)
                for cell, logits in zip(space.choices, strategy.architecture.logits, strict=True)
            }
            return info_nce(module.network(visual, audio, mixture_route(probabilities)), labels, 0.1)

        joint_adam(parameters, [lambda batch=batch: loss_of(*batch) for batch in batches(3)], settings)
        assert parameters.keys() == stepped.keys()
        for name, parameter in parameters.items():
            assert not torch.equal(parameter, before[name]), name
            torch.testing.assert_close(stepped[name], parameter.detach(), rtol=1e-9, atol=1e-11, msg=name)

    def test_a_parameter_group_is_a_second_optimizer_bit_for_bit(self, make_module, space):
        runs = []
        for two in (False, True):
            module, strategy = searching(make_module, space, **ALPHA)
            if two:
                (group,) = strategy.parameter_groups()
                strategy.parameter_groups = list
                optimizers = [module.configure_optimizers()["optimizer"], torch.optim.AdamW([group], eps=1e-6)]
            else:
                optimizers = [module.configure_optimizers()["optimizer"]]
            for visual, audio, labels in batches(4):
                info_nce(module.network(visual, audio, strategy.route(START)), labels, 0.1).backward()
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
            runs.append(module.state_dict())
        assert runs[0].keys() == runs[1].keys()
        assert all(torch.equal(tensor, runs[1][name]) for name, tensor in runs[0].items())

    def test_every_logit_is_trained_and_nothing_twice(self, make_module, space):
        module, _ = searching(make_module, space)
        groups = module.configure_optimizers()["optimizer"].param_groups
        trained = [id(parameter) for group in groups for parameter in group["params"]]
        assert len(trained) == len(set(trained))
        assert set(trained) == {id(parameter) for parameter in module.parameters()}


class TestMixture:
    def test_gradients_of_a_cell_sum_to_zero(self, make_module, space):
        """Softmax does not change when a constant is added to all logits of a cell."""
        module, strategy = searching(make_module, space)
        ((visual, audio, labels),) = batches(1)
        info_nce(module.network(visual, audio, strategy.route(START)), labels, 0.1).backward()
        for logits in strategy.architecture.logits:
            assert logits.grad.abs().max() > 1e-6
            assert abs(float(logits.grad.sum())) < 1e-12

    def test_weights_are_the_softmax_of_the_logits(self, space):
        strategy = spread(begun(space, temperature=0.25))
        route = strategy.route(SearchProgress(epoch=10, batch=0, epochs=10, batches=4))
        assert route.keys() == {cell.name for cell in space.choices}
        for cell, logits in zip(space.choices, strategy.architecture.logits, strict=True):
            powers = [math.exp(value / 0.25) for value in logits.tolist()]
            expected = torch.tensor([power / sum(powers) for power in powers])
            torch.testing.assert_close(route[cell.name].weights.detach(), expected)
            assert route[cell.name].candidates is None
            assert route[cell.name].detached == frozenset()

    def test_decided_logits_mix_to_the_pruned_network(self, make_module):
        space = load_space("full")
        module = make_module(space).double().eval()
        strategy = begun(space)
        strategy.architecture.double()
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            winners = [int(torch.randint(len(cell.candidates), (), generator=generator)) for cell in space.choices]
            with torch.no_grad():
                for logits, winner in zip(strategy.architecture.logits, winners, strict=True):
                    logits.zero_()[winner] = 50
            architecture = strategy.derive()
            assert list(space.indices(architecture).values()) == winners
            ((visual, audio, _),) = batches(1)
            mixed = module.network(visual, audio, strategy.route(START))
            torch.testing.assert_close(mixed, prune(module.network, architecture)(visual, audio), rtol=0, atol=1e-9)


class TestDerive:
    def test_it_is_repeatable_and_changes_nothing(self, space):
        strategy = spread(begun(space))
        before = [logits.detach().clone() for logits in strategy.architecture.logits]
        random = torch.get_rng_state()
        first = strategy.derive()
        assert all(strategy.derive() == first for _ in range(3))
        assert torch.equal(torch.get_rng_state(), random)
        assert all(map(torch.equal, before, strategy.architecture.logits))
        for cell, logits in zip(space.choices, before, strict=True):
            assert first[cell.name] == cell.candidates[max(range(len(logits)), key=logits.tolist().__getitem__)]

    def test_ties_go_to_the_first_candidate(self, space):
        strategy = begun(space)
        assert strategy.derive() == space.architecture({cell.name: 0 for cell in space.cells})
        with torch.no_grad():
            for logits in strategy.architecture.logits:
                logits[-2:] = 1.0
        for cell in space.choices:
            assert strategy.derive()[cell.name] == cell.candidates[-2]

    def test_cells_without_a_choice_are_in_it(self, space):
        architecture = spread(begun(space)).derive()
        space.check(architecture)
        assert len(architecture) == 22


class TestInitialLogits:
    def test_they_start_uniform(self, space):
        assert all(logits.eq(0).all() for logits in begun(space).architecture.logits)

    def test_the_scale_is_their_deviation_and_the_seed_decides_them(self):
        space = load_space("full")
        drawn = [torch.cat([*ArchitectureLogits(space, 2.0, seed).logits]).detach() for seed in range(200)]
        values = torch.cat(drawn)  # 88 logits each
        assert abs(float(values.mean())) < 6 * 2 / math.sqrt(len(values))
        assert abs(float(values.std()) - 2) < 6 * 2 / math.sqrt(2 * len(values))
        assert torch.equal(drawn[3], torch.cat([*ArchitectureLogits(space, 2.0, 3).logits]).detach())
        assert not torch.equal(drawn[3], drawn[4])


class TestSchedule:
    def test_the_temperature_falls_geometrically_from_1(self, space):
        strategy = begun(space, temperature=0.01)
        steps = [SearchProgress(epoch, 0, 10, 4) for epoch in range(11)]
        temperatures = [strategy.temperature_at(progress) for progress in steps]
        assert temperatures[0] == 1
        assert temperatures[-1] == pytest.approx(0.01)
        ratios = [after / before for before, after in itertools.pairwise(temperatures)]
        assert ratios == pytest.approx([0.01**0.1] * 10)
        assert strategy.temperature_at(SearchProgress(2, 2, 10, 4)) == pytest.approx(0.01**0.25)

    def test_the_papers_temperature_is_1_throughout(self, space):
        assert {begun(space).temperature_at(SearchProgress(epoch, 1, 5, 3)) for epoch in range(5)} == {1.0}

    def test_it_waits_for_the_warm_up(self, space):
        strategy = begun(space, temperature=0.1, warmup=0.5)
        expected = {0: 1.0, 4: 1.0, 5: 1.0, 6: 0.1**0.2, 10: 0.1}
        for epoch, temperature in expected.items():
            assert strategy.temperature_at(SearchProgress(epoch, 0, 10, 4)) == pytest.approx(temperature)

    def test_alpha_has_no_gradient_during_warm_up(self, space):
        strategy = spread(begun(space, warmup=0.5))
        for progress, trains in (
            (START, False),
            (SearchProgress(4, 3, 10, 4), False),
            (SearchProgress(5, 0, 10, 4), True),
        ):
            route = strategy.route(progress)
            assert all(isinstance(choice, Mixture) for choice in route.values())
            assert {choice.weights.requires_grad for choice in route.values()} == {trains}

    def test_entropy(self, space):
        strategy = begun(space)
        assert strategy.architecture.entropy().item() == pytest.approx(1)
        assert strategy.summary(START)["entropy"] == pytest.approx(1)
        with torch.no_grad():
            for logits in strategy.architecture.logits:
                logits[0] = 200
        assert strategy.architecture.entropy().item() == pytest.approx(0, abs=1e-12)
        one = SearchSpace((Cell("T", ("self_attention", "self_ssm")),))
        half = begun(one)
        with torch.no_grad():
            half.architecture.logits[0][0] = math.log(3)
        expected = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
        assert half.architecture.entropy().item() == pytest.approx(expected)
        decided = half.architecture.entropy(0.1).item()
        assert 0 < decided < 0.01

    def test_summary_counts_the_skips_of_the_derived_architecture(self, space):
        strategy = begun(space, temperature=0.5)
        summary = strategy.summary(SearchProgress(10, 0, 10, 4))
        assert summary.keys() == {"entropy", "temperature", "skips"}
        assert summary["temperature"] == pytest.approx(0.5)
        assert summary["skips"] == 14  # the first candidate of each M and U cell

    def test_evaluation_scores_the_mixture_and_what_it_would_be_pruned_to(self, space):
        strategy = spread(begun(space))
        routes = strategy.evaluation_routes(START)
        assert list(routes) == ["supernet", "derived"]
        assert routes["derived"] == space.indices(strategy.derive())
        assert all(isinstance(choice, Mixture) for choice in routes["supernet"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "strategy.lr must not be negative, got -0.001"),
        ({"lr": float("nan")}, "strategy.lr must not be negative, got nan"),
        ({"weight_decay": -1.0}, "strategy.weight_decay must not be negative, got -1.0"),
        ({"init_scale": -0.5}, "strategy.init_scale must not be negative, got -0.5"),
        ({"betas": (0.9, 1.0)}, r"strategy\.betas must lie in \[0, 1\), got \(0\.9, 1\.0\)"),
        ({"temperature": 0.0}, "strategy.temperature must be positive, got 0.0"),
        ({"warmup": 1.0}, r"strategy\.warmup is a part of the search in \[0, 1\), got 1\.0"),
        ({"warmup": -0.1}, r"strategy\.warmup is a part of the search in \[0, 1\), got -0\.1"),
        ({"select": "best"}, "strategy.select is supernet or derived, got 'best'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=message):
        AVNAS(**options)


def test_select_names_the_score_that_picks_the_state():
    assert AVNAS().monitor == "supernet"
    assert AVNAS(select="derived").monitor == "derived"
