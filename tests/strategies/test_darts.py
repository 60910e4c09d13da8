"""DARTS: the step of alpha in both orders, what it leaves alone, its halves of the data, and its options."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn.attention import SDPBackend, sdpa_kernel

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Mixture, mixture_route
from avhash_nas.space import Cell, SearchSpace, load_space
from avhash_nas.strategies import AVNAS, DARTS, SearchProgress
from avhash_nas.strategies.hypergradient import hypergradient, replayed
from avhash_nas.strategies.virtual_step import VirtualStep
from avhash_nas.training import Augmentation, Recipe
from distributed import alpha
from reference.strategies_darts import exact_hypergradient, rule_of
from strategies.bilevel import RoteOrRule, Tug, search
from strategies.contexts import context_of

QUICK = (partial(DARTS, lr=0.05), partial(DARTS, order=2, lr=0.05), partial(DARTS, auxiliary_skip=True, lr=0.05))
"""For the conformance checks: options that suit short searches."""

START = SearchProgress(epoch=0, batch=0, epochs=10, batches=4)
ORDERS = pytest.mark.parametrize("order", [1, 2])


class Watched(DARTS):
    """Notes what a step of alpha found and left."""

    def __init__(self, **options):
        super().__init__(**options)
        self.alphas, self.differences, self.rows, self.held_out = [], [], [], []

    def architecture_step(self, context, batch, progress):
        module = context.module

        def held_out(number):
            self.held_out.append((held := context.held_out(number)).index.tolist())
            return held

        before = self.snapshot(module)
        for parameter in module.network.parameters():
            parameter.grad = torch.ones_like(parameter)
        super().architecture_step(replace(context, held_out=held_out), batch, progress)
        self.differences += [
            name for name, value in self.snapshot(module).items() if not torch.equal(value, before[name])
        ]
        self.differences += [name for name, p in module.network.named_parameters() if not bool((p.grad == 1).all())]
        module.network.zero_grad()
        self.rows.append(batch.index.tolist())
        self.alphas.append([logits.detach().clone() for logits in self.architecture.logits])

    def snapshot(self, module):
        """The network's state and that of its optimizer."""
        states = module.trainer.optimizers[0].state_dict()["state"]
        optimizer = {f"{key} {index}": value for index, state in states.items() for key, value in state.items()}
        return copy.deepcopy({**dict(module.network.named_parameters()), **optimizer})


def drawn(space, seed=3):
    """A batch of four classes in double precision."""
    generator = torch.Generator().manual_seed(seed)
    visual, audio = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((8, 4, 8), (8, 4, 6)))
    return Batch(visual, audio, torch.eye(4, dtype=torch.bool).repeat(2, 1), torch.arange(8))


def ready(make_module, space, *, dropout=0.0, steps=2, **options):
    """A module in double precision that has taken some steps of its optimizer, and a strategy with a held-out batch."""
    strategy = DARTS(init_scale=1.0, **options)
    recipe = Recipe(lr=0.003, weight_decay=0.1, eps=1e-3)
    module = make_module(space, dropout=dropout, recipe=recipe, strategy=strategy).double()
    optimizer = module.configure_optimizers()["optimizer"]
    for _ in range(steps):
        optimizer.zero_grad()
        module.loss(drawn(space), strategy.route(START)).backward()
        optimizer.step()
    return module, strategy, context_of(module, drawn(space, seed=4), optimizer)


def mixed(strategy, space):
    """The mixture by hand."""
    logits = zip(space.choices, strategy.architecture.logits, strict=True)
    return mixture_route({cell.name: torch.softmax(values, 0) for cell, values in logits})


class TestFirstOrder:
    def test_it_is_adam_on_the_held_out_loss(self, make_module, space):
        settings = {"lr": 0.02, "betas": (0.5, 0.99), "weight_decay": 0.05}
        module, strategy, context = ready(make_module, space, **settings)
        twin = copy.deepcopy(strategy.architecture)
        adam = torch.optim.Adam(twin.parameters(), **settings)
        for _ in range(3):
            strategy.architecture_step(context, drawn(space), START)
            adam.zero_grad()
            route = mixture_route(
                {c.name: torch.softmax(v, 0) for c, v in zip(space.choices, twin.logits, strict=True)}
            )
            module.loss(drawn(space, seed=4), route).backward()
            adam.step()
        for found, expected in zip(strategy.architecture.logits, twin.logits, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)

    def test_its_weight_decay_is_l2_as_in_the_original(self, make_module, space):
        """The decay goes through Adam's moments; it does not shrink alpha by itself."""
        assert type(ready(make_module, space)[1].optimizer) is torch.optim.Adam


class TestSecondOrder:
    @pytest.fixture
    def smooth(self):
        """Choices among operators that autograd can differentiate twice: no selective scan."""
        full = load_space("full")
        kept = {
            "visual.M1": ("skip", "mlp", "ffn", "conv3"),
            "audio.M3": ("skip", "ffn"),
            "audio.D1": ("add", "hadamard"),
            "F": ("add", "gated_attention"),
        }
        return SearchSpace(tuple(Cell(c.name, kept.get(c.name, c.candidates[:1])) for c in full.cells))

    def test_it_is_the_exact_hypergradient_under_the_same_dropout_masks(self, make_module, smooth, monkeypatch):
        module, strategy, context = ready(make_module, smooth, order=2, dropout=0.2, lr=1.0, betas=(0.0, 0.0))
        optimizer = context.weight_optimizer.optimizer
        weights, alphas = dict(module.network.named_parameters()), list(strategy.architecture.logits)

        def on(batch):
            return lambda parameters: module.loss(batch, mixed(strategy, smooth), parameters)

        torch.manual_seed(1)
        with sdpa_kernel(SDPBackend.MATH):
            train = replayed(on(drawn(smooth)), torch.device("cpu"))
            exact = exact_hypergradient(train, on(drawn(smooth, seed=4)), weights, alphas, rule_of(optimizer, weights))
        nearer = partial(hypergradient, epsilon=1e-4)  # at 0.01 the way crosses corners of ReLU, an error of 0.03
        monkeypatch.setattr("avhash_nas.strategies.darts.hypergradient", nearer)
        seen = []
        strategy.optimizer.step = lambda: seen.extend(alpha.grad.clone() for alpha in alphas)
        torch.manual_seed(1)
        strategy.architecture_step(context, drawn(smooth), START)
        torch.manual_seed(2)
        strategy.architecture_step(context, drawn(smooth), START)
        found, other_masks = torch.cat(seen[: len(alphas)]), torch.cat(seen[len(alphas) :])
        exact = torch.cat(exact)
        assert (found - exact).norm() / exact.norm() < 1e-7
        assert (other_masks - exact).norm() / exact.norm() > 1e-2

    @pytest.mark.parametrize(
        "clip",
        [{}, {"gradient_clip_val": 0.05}, {"gradient_clip_val": 0.002, "gradient_clip_algorithm": "value"}],
        ids=["free", "by norm", "by value"],
    )
    def test_virtual_step_equals_the_next_weight_step(self, make_module, make_data, make_trainer, monkeypatch, clip):
        """Where alpha does not move and nothing is random, to rounding; with the schedule's rate of that step."""
        virtual, real = [], []
        step = VirtualStep.__call__

        def recorded(virtual_step, weights, gradient):
            after, pull_back = step(virtual_step, weights, gradient)
            virtual.append(after)
            return after, pull_back

        class Spy(Callback):
            def on_train_batch_end(self, trainer, module, *_):
                real.append({name: p.detach().clone() for name, p in module.network.named_parameters()})

        monkeypatch.setattr(VirtualStep, "__call__", recorded)
        recipe = Recipe(lr=0.01, weight_decay=0.3, schedule="cosine", warmup=0.4, body_lr=0.5)
        module = make_module(recipe=recipe, strategy=DARTS(order=2, lr=0.0))
        make_trainer(2, callbacks=[Spy()], limit_val_batches=0, **clip).fit(module, datamodule=make_data())
        assert len(virtual) == len(real) == 6
        for expected, taken in zip(virtual, real, strict=True):
            for name, weight in taken.items():
                torch.testing.assert_close(expected[name], weight, rtol=1e-5, atol=1e-7, msg=name)
        assert not torch.equal(real[0]["hash.fc.weight"], real[-1]["hash.fc.weight"])

    def test_without_a_learning_rate_of_the_weights_it_is_the_first_order(self, make_module, space):
        grads = []
        for order in (1, 2):
            _, strategy, context = ready(make_module, space, order=order)
            for group in context.weight_optimizer.optimizer.param_groups:
                group["lr"] = 0.0
            strategy.optimizer.step = lambda s=strategy: grads.append([a.grad.clone() for a in s.architecture.logits])
            strategy.architecture_step(context, drawn(space), START)
        assert all(map(torch.equal, *grads))

    @pytest.mark.parametrize(
        ("options", "recipe", "message"),
        [
            ({"accumulate_grad_batches": 2}, {}, "trainer.accumulate_grad_batches must be 1, got 2"),
            ({"precision": "bf16-true"}, {}, r"they must be float32, got torch\.bfloat16 \(trainer\.precision\)"),
        ],
    )
    def test_what_it_cannot_unroll_is_refused(self, make_module, make_data, make_trainer, options, recipe, message):
        with pytest.raises(AvnasError, match=message):
            make_trainer(1, **options).fit(make_module(strategy=DARTS(order=2)), datamodule=make_data())


@ORDERS
class TestTwoLevels:
    def test_each_step_leaves_the_other_side_alone_to_the_bit(self, make_module, make_data, make_trainer, order):
        strategy, seen = Watched(order=order, lr=0.05), []
        recipe = Recipe(lr=0.01, weight_decay=0.1)
        module = make_module(dropout=0.2, augmentation=Augmentation(noise=0.1), recipe=recipe, strategy=strategy)

        class Spy(Callback):
            def on_train_batch_end(self, trainer, module, *_):
                seen.append([logits.detach().clone() for logits in module.architecture.logits])

        make_trainer(2, callbacks=[Spy()], limit_val_batches=0).fit(module, datamodule=make_data())
        assert strategy.differences == []
        assert len(seen) == 6
        for left, found in zip(strategy.alphas, seen, strict=True):
            assert all(map(torch.equal, left, found))
        moved = [not torch.equal(a, b) for a, b in zip(strategy.alphas[0], strategy.alphas[-1], strict=True)]
        assert all(moved)
        assert all(logits.grad is None for logits in strategy.architecture.logits)

    def test_two_levels_find_what_generalizes_and_one_level_what_fits(self, order):
        module = RoteOrRule()
        two = search(DARTS(order=order, lr=0.02), module, module.rows(0, 8), module.rows(8, 16))
        module = RoteOrRule()
        one = search(AVNAS(lr=0.02), module, module.rows(0, 16), None)
        assert two.argmax() == 1
        assert one.argmax() == 0

    def test_only_second_order_sees_what_alpha_does_through_the_weights(self, order):
        module = Tug()
        found = search(DARTS(order=order, lr=0.02), module, module.batch_of("train"), module.batch_of("val"))
        assert found.argmax() == order - 1

    def test_a_resumed_search_ends_in_the_same_state(self, make_module, make_data, make_trainer, tmp_path, order):
        states = []
        for stops in ((2,), (1, 2)):
            checkpoint = None
            for epochs in stops:
                strategy = DARTS(order=order, lr=0.05)
                module = make_module(dropout=0.2, recipe=Recipe(lr=0.01, weight_decay=0.1), strategy=strategy)
                trainer = make_trainer(epochs, limit_val_batches=0)
                trainer.fit(module, datamodule=make_data(), ckpt_path=checkpoint, weights_only=True)
                checkpoint = tmp_path / f"{len(states)}-{epochs}.ckpt"
                trainer.save_checkpoint(checkpoint)
            states.append((module.state_dict(), strategy.optimizer.state_dict()["state"]))
        (weights, alphas), (resumed_weights, resumed_alphas) = states
        assert weights.keys() == resumed_weights.keys()
        assert all(torch.equal(value, resumed_weights[name]) for name, value in weights.items())
        for place, state in alphas.items():
            assert all(torch.equal(value, resumed_alphas[place][name]) for name, value in state.items())

    def test_two_gradients_on_one_batch_are_equal(self, make_module, space, order):
        _, strategy, context = ready(make_module, space, order=order, dropout=0.2)
        grads = []
        strategy.optimizer.step = lambda: grads.append([a.grad.clone() for a in strategy.architecture.logits])
        for _ in range(2):
            torch.manual_seed(1)
            strategy.architecture_step(context, drawn(space), START)
        assert all(map(torch.equal, *grads))


def test_alpha_and_weights_see_different_halves_of_every_class(make_module, make_data, make_trainer):
    strategy, data = Watched(), make_data()
    make_trainer(4, limit_val_batches=0).fit(make_module(strategy=strategy), datamodule=data)
    weights, alpha = ({row for rows in noted for row in rows} for noted in (strategy.rows, strategy.held_out))
    train = set(data.splits["train"].tolist())
    assert weights.isdisjoint(alpha)
    assert weights | alpha == train
    for halves in (weights, alpha):
        assert data.labels[sorted(halves)].sum(0).tolist() == [3, 3, 3]
    assert len(strategy.rows) == 12  # as many weight steps as with all 18 videos


class TestSchedule:
    def test_alpha_is_frozen_during_warm_up(self, make_module, make_data, make_trainer):
        strategy = Watched(lr=0.05, warmup=0.5, weight_decay=0.1)
        make_trainer(4, limit_val_batches=0).fit(make_module(strategy=strategy), datamodule=make_data())
        first = strategy.alphas[0]
        assert [all(map(torch.equal, first, alphas)) for alphas in strategy.alphas] == [True] * 6 + [False] * 6
        assert len(strategy.held_out) == 6

    def test_once_hardened_one_path_is_trained_and_alpha_rests(self, make_module, make_data, make_trainer):
        strategy = Watched(lr=0.05, discretize_at=0.5)
        make_trainer(4, limit_val_batches=0).fit(make_module(strategy=strategy), datamodule=make_data())
        assert len(strategy.held_out) == 6
        progress = SearchProgress(2, 0, 4, 3)
        assert strategy.route(progress) == strategy.space.indices(strategy.derive())
        assert all(isinstance(choice, Mixture) for choice in strategy.route(SearchProgress(1, 2, 4, 3)).values())

    def test_the_learning_rate_falls_with_the_temperature(self, make_module, space):
        _, strategy, context = ready(make_module, space, lr=0.1, temperature=0.01)
        rates = []
        for epoch in (0, 5):
            strategy.architecture_step(context, drawn(space), SearchProgress(epoch, 0, 10, 4))
            rates += [group["lr"] for group in strategy.optimizer.param_groups]
        assert rates == pytest.approx([0.1, 0.01])

    def test_a_weight_step_has_no_gradient_for_alpha(self, space):
        strategy = DARTS(init_scale=1.0)
        strategy.setup_search(space, 0)
        for cell, logits in zip(space.choices, strategy.architecture.logits, strict=True):
            trained, searched = strategy.route(START)[cell.name], strategy.architecture_route(START)[cell.name]
            assert not trained.weights.requires_grad
            assert searched.weights.requires_grad
            torch.testing.assert_close(trained.weights, torch.softmax(logits.detach(), 0))
            assert torch.equal(trained.weights, searched.weights)


class TestAuxiliarySkip:
    def test_its_factor_falls_from_1_to_0(self, space):
        strategy, plain = DARTS(auxiliary_skip=True, init_scale=1.0), DARTS(init_scale=1.0)
        for each in (strategy, plain):
            each.setup_search(space, 0)
        for epoch, lr_multiplier in ((0, 1.0), (5, 0.5), (10, 0.0)):
            progress = SearchProgress(epoch, 0, 10, 4)
            for cell in space.choices:
                extra = strategy.route(progress)[cell.name].weights - plain.route(progress)[cell.name].weights
                expected = [lr_multiplier * (candidate == "skip") for candidate in cell.candidates]
                torch.testing.assert_close(extra, torch.tensor(expected), rtol=0, atol=1e-6)
        assert {c.name for c in space.choices if "skip" in c.candidates} == {"visual.M1", "visual.U1", "audio.M3"}

    def test_it_is_gone_once_hardened(self, space):
        strategy = DARTS(auxiliary_skip=True, discretize_at=0.5)
        strategy.setup_search(space, 0)
        weights = strategy.weights(SearchProgress(5, 0, 10, 4))
        assert all(values.sum().item() == pytest.approx(1) for values in weights.values())

    def test_a_cell_passes_its_input_on_beside_the_mixture(self, make_module, space):
        strategy = DARTS(auxiliary_skip=True, init_scale=1.0)
        strategy.setup_search(space, 0)
        cell = make_module(space).network.get_submodule("visual.M1").eval()
        x = torch.randn(2, 4, 16)
        progress = SearchProgress(4, 0, 10, 4)
        weights = torch.softmax(strategy.architecture.logits[0].detach(), 0)
        plain = cell(x, route={"visual.M1": Mixture(weights)})
        torch.testing.assert_close(cell(x, route=strategy.route(progress)), plain + 0.6 * x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1", "2", "gdas"])
def test_three_ranks_step_alpha_as_one_process_does_with_the_whole_batch(three_ranks, name):
    alone = alpha.searched(0, name)
    answers = three_ranks.run(alpha.searched, name)
    for answer in answers:
        torch.testing.assert_close(answer, alone, rtol=1e-7, atol=1e-10)
        assert all(map(torch.equal, answer, answers[0]))


def test_evaluation_and_summary(space):
    strategy = DARTS(init_scale=1.0)
    strategy.setup_search(space, 0)
    routes = strategy.evaluation_routes(START)
    assert list(routes) == ["supernet", "derived"]
    assert routes["derived"] == space.indices(strategy.derive())
    assert all(isinstance(choice, Mixture) for choice in routes["supernet"].values())
    assert strategy.summary(START).keys() == {"entropy", "temperature", "skips"}


def test_the_state_at_the_end_is_kept_unless_asked_otherwise():
    assert DARTS().monitor is None
    assert DARTS(select="supernet").monitor == "supernet"
    assert DARTS(select="derived").monitor == "derived"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 3}, "strategy.order must be 1 or 2, got 3"),
        ({"select": "best"}, "strategy.select is last, supernet or derived, got 'best'"),
        ({"lr": -1.0}, "strategy.lr must not be negative, got -1.0"),
        ({"betas": (0.5, 1.0)}, r"strategy\.betas must lie in \[0, 1\), got \(0\.5, 1\.0\)"),
        (
            {"warmup": 0.5, "discretize_at": 0.5},
            r"strategy\.discretize_at must be above warmup \(0\.5\) and at most 1, got 0\.5",
        ),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(AvnasError, match=message):
        DARTS(**options)
