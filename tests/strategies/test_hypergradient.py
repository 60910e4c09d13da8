"""Second-order DARTS: the hypergradient against autograd through the step, and the step against torch's optimizers."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from avhash_nas.errors import AvnasError
from avhash_nas.strategies.hypergradient import full_precision, hypergradient, mixed_derivative, replayed
from avhash_nas.strategies.virtual_step import VirtualStep
from reference.strategies_darts import exact_hypergradient, rule_of, unrolled

SHAPES = {"body": (4, 3), "head": (5,)}


class Quadratic:
    """Losses of two cells' softmax mixtures, quadratic in the weights, not in alpha."""

    def __init__(self, seed=0, dtype=torch.float64):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.weights = {name: nn.Parameter(self.draw(*shape)) for name, shape in SHAPES.items()}
        self.alphas = [nn.Parameter(self.draw(3)), nn.Parameter(self.draw(2))]
        self.train, self.val = self.loss(), self.loss()

    def draw(self, *shape):
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(self.dtype)

    def loss(self):
        size = sum(weight.numel() for weight in self.weights.values())
        matrices = [[self.draw(size, size) for _ in alpha] for alpha in self.alphas]
        targets = [[self.draw(size) for _ in alpha] for alpha in self.alphas]

        def value(weights):
            w = torch.cat([weights[name].flatten() for name in SHAPES])
            terms = []
            for alpha, factors, centers in zip(self.alphas, matrices, targets, strict=True):
                losses = [
                    ((lr_multiplier @ (w - center)) ** 2).mean()
                    for lr_multiplier, center in zip(factors, centers, strict=True)
                ]
                terms.append(torch.softmax(alpha, 0) @ torch.stack(losses))
            return terms[0] * 0.5 + terms[1]

        return value

    def train_for(self, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            self.train(self.weights).backward()
            optimizer.step()
        optimizer.zero_grad()
        for alpha in self.alphas:
            alpha.grad = None

    def groups(self, **of_head):
        return [{"params": [self.weights["body"]]}, {"params": [self.weights["head"]], **of_head}]


OPTIMISERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.025),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.025, momentum=0.9, weight_decay=0.03),
    "dampened": lambda groups: torch.optim.SGD(groups, lr=0.025, momentum=0.7, dampening=0.4, weight_decay=0.03),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=0.025, momentum=0.9, nesterov=True),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01, weight_decay=0.03),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95), weight_decay=0.3),
    "adamw with a large epsilon": lambda groups: torch.optim.AdamW(groups, lr=0.01, eps=0.1, weight_decay=0.3),
}
CLIPS = {"free": {}, "by norm": {"clip": 0.3}, "by value": {"clip": 0.2, "by_value": True}, "long": {"clip": 1e6}}
ANY_STEP = given(
    name=st.sampled_from(sorted(OPTIMISERS)),
    clip=st.sampled_from(sorted(CLIPS)),
    steps=st.integers(0, 5),
    seed=st.integers(0, 2**20),
)


def error(found, exact):
    found, exact = (torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (found, exact))
    return float((found - exact).norm() / exact.norm())


def problem(name, steps=4, seed=0, dtype=torch.float64):
    quadratic = Quadratic(seed, dtype)
    optimizer = OPTIMISERS[name](quadratic.groups(lr=0.004))
    quadratic.train_for(optimizer, steps)
    return quadratic, optimizer


class TestHypergradient:
    @pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS)
    @pytest.mark.parametrize("steps", [0, 1, 4])
    @pytest.mark.parametrize("name", OPTIMISERS)
    def test_it_is_autograds_through_the_step(self, name, steps, clip):
        q, optimizer = problem(name, steps)
        exact = exact_hypergradient(q.train, q.val, q.weights, q.alphas, rule_of(optimizer, q.weights, **clip))
        found = hypergradient(q.train, q.val, q.weights, q.alphas, VirtualStep(optimizer, **clip))
        assert error(found, exact) < 1e-10

    @settings(max_examples=25)
    @given(seed=st.integers(0, 2**20), steps=st.integers(0, 6), name=st.sampled_from(sorted(OPTIMISERS)))
    def test_it_is_so_on_any_quadratic(self, seed, steps, name):
        q, optimizer = problem(name, steps, seed)
        exact = exact_hypergradient(q.train, q.val, q.weights, q.alphas, rule_of(optimizer, q.weights))
        assert error(hypergradient(q.train, q.val, q.weights, q.alphas, VirtualStep(optimizer)), exact) < 1e-10

    @pytest.mark.parametrize("name", ["momentum", "adamw with a large epsilon"])
    def test_in_single_precision(self, name):
        q, optimizer = problem(name, dtype=torch.float32)
        exact = exact_hypergradient(q.train, q.val, q.weights, q.alphas, rule_of(optimizer, q.weights))
        assert error(hypergradient(q.train, q.val, q.weights, q.alphas, VirtualStep(optimizer)), exact) < 1e-5

    @pytest.mark.parametrize("name", ["momentum", "adam", "adamw"])
    def test_well_known_mistakes_are_far_from_it(self, name):
        """So that the comparison with autograd would have found them."""
        q, optimizer = problem(name)
        step = rule_of(optimizer, q.weights)
        exact = exact_hypergradient(q.train, q.val, q.weights, q.alphas, step)
        slope = slopes_of(q, optimizer)
        right = unrolled(q.train, q.val, q.weights, q.alphas, slope, step, lambda difference, h: difference / (2 * h))
        assert error(right, exact) < 1e-10
        precedence = unrolled(
            q.train, q.val, q.weights, q.alphas, slope, step, lambda difference, h: difference / 2 * h
        )
        first_order = torch.autograd.grad(q.val(q.weights), q.alphas)
        opposite = unrolled(
            q.train, q.val, q.weights, q.alphas, slope, step, lambda difference, h: -difference / (2 * h)
        )
        for wrong in (precedence, first_order, opposite):
            assert error(wrong, exact) > 1e-3

    @pytest.mark.parametrize("name", ["adam", "adamw"])
    def test_another_step_than_adams_is_far_from_it(self, name):
        q, optimizer = problem(name)
        exact = exact_hypergradient(q.train, q.val, q.weights, q.alphas, rule_of(optimizer, q.weights))
        groups = [{"params": group["params"], "lr": group["lr"]} for group in optimizer.param_groups]
        plain = VirtualStep(torch.optim.SGD(groups))
        assert error(hypergradient(q.train, q.val, q.weights, q.alphas, plain), exact) > 1e-3

        def constant_second_moment(weights, gradient):
            after, _ = VirtualStep(optimizer)(weights, gradient)
            slope = {}
            for group in optimizer.param_groups:
                for member in group["params"]:
                    (key,) = [name for name, weight in weights.items() if weight is member]
                    state, (beta1, beta2) = optimizer.state[member], group["betas"]
                    t = int(state["step"]) + 1
                    g = gradient[key] + (0.03 * member.detach() if name == "adam" else 0)
                    second = (beta2 * state["exp_avg_sq"] + (1 - beta2) * g**2) / (1 - beta2**t)
                    slope[key] = -group["lr"] * (1 - beta1) / (1 - beta1**t) / (second.sqrt() + group["eps"])
            return after, lambda r: {key: slope[key] * r[key] for key in slope}

        assert error(hypergradient(q.train, q.val, q.weights, q.alphas, constant_second_moment), exact) > 1e-3

    @pytest.mark.parametrize("name", OPTIMISERS)
    def test_without_a_learning_rate_it_is_the_first_order_gradient(self, name):
        q, optimizer = problem(name)
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        first_order = torch.autograd.grad(q.val(q.weights), q.alphas)
        found = hypergradient(q.train, q.val, q.weights, q.alphas, VirtualStep(optimizer))
        assert all(map(torch.equal, found, first_order))

    @pytest.mark.parametrize("name", OPTIMISERS)
    def test_it_changes_nothing_and_repeats_itself(self, name):
        q, optimizer = problem(name, dtype=torch.float32)
        for parameter in [*q.weights.values(), *q.alphas]:
            parameter.grad = torch.ones_like(parameter)
        parameters = [*q.weights.values(), *q.alphas]
        before = [parameter.detach().clone() for parameter in parameters]
        state = [value.clone() for state in optimizer.state.values() for value in state.values() if value is not None]
        first, second = (hypergradient(q.train, q.val, q.weights, q.alphas, VirtualStep(optimizer)) for _ in range(2))
        assert all(map(torch.equal, first, second))
        assert all(map(torch.equal, parameters, before))
        assert all(bool((parameter.grad == 1).all()) for parameter in parameters)
        after = [value for state in optimizer.state.values() for value in state.values() if value is not None]
        assert all(map(torch.equal, after, state))

    def test_alpha_may_act_through_the_weights_alone(self):
        """No direct gradient at all: first-order DARTS is blind here."""
        q, optimizer = problem("adamw")

        def val(weights):
            return sum((weight**2).sum() for weight in weights.values())

        exact = exact_hypergradient(q.train, val, q.weights, q.alphas, rule_of(optimizer, q.weights))
        assert error(hypergradient(q.train, val, q.weights, q.alphas, VirtualStep(optimizer)), exact) < 1e-10

    def test_weights_that_train_does_not_use_stay(self):
        q, optimizer = problem("adamw")
        idle = nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer.add_param_group({"params": [idle], "weight_decay": 0.5})
        seen = {}

        def val(weights):
            seen.update(weights)
            return q.val(weights) + (weights["idle"] ** 2).sum()

        hypergradient(q.train, val, {**q.weights, "idle": idle}, q.alphas, VirtualStep(optimizer))
        assert torch.equal(seen["idle"], idle)
        assert not torch.equal(seen["head"], q.weights["head"])


def slopes_of(q, optimizer):
    """The diagonal of dw'/dg, one autograd call an element."""
    gradients = torch.autograd.grad(q.train(q.weights), list(q.weights.values()))
    given = {name: gradient.requires_grad_() for name, gradient in zip(q.weights, gradients, strict=True)}
    after = rule_of(optimizer, q.weights)(q.weights, given)
    return {name: torch.autograd.grad(after[name].sum(), given[name])[0] for name in given}


class TestMasks:
    """A network that is not quadratic, with dropout."""

    def setup_method(self):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3)).double()
        self.alphas = [nn.Parameter(torch.tensor([0.3, -0.2], dtype=torch.float64))]
        self.weights = dict(self.network.named_parameters())
        self.inputs = [torch.randn(12, 6, dtype=torch.float64) for _ in range(2)]
        self.targets = [torch.randn(12, 3, dtype=torch.float64) for _ in range(2)]
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.01, eps=1e-2)

    def loss(self, weights, part):
        """Alpha weighs the network's output against its input."""
        inputs, targets = self.inputs[part], self.targets[part]
        mixed, skipped = torch.softmax(self.alphas[0], 0)
        codes = torch.func.functional_call(self.network, dict(weights), (inputs,))
        return ((mixed * codes + skipped * inputs[:, :3] - targets) ** 2).mean()

    def train(self, weights):
        return self.loss(weights, 0)

    def val(self, weights):
        torch.manual_seed(7)
        return self.loss(weights, 1)

    def exact(self):
        train = replayed(self.train, torch.device("cpu"))
        return exact_hypergradient(train, self.val, self.weights, self.alphas, rule_of(self.optimizer, self.weights))

    def test_replayed_masks_give_the_derivative_of_one_function(self):
        torch.manual_seed(3)
        exact = self.exact()
        torch.manual_seed(3)
        train = replayed(self.train, torch.device("cpu"))
        found = hypergradient(train, self.val, self.weights, self.alphas, VirtualStep(self.optimizer))
        assert error(found, exact) < 5e-3
        first_order = torch.autograd.grad(self.val(self.weights), self.alphas)
        assert error(first_order, exact) > 5e-3

    def test_masks_that_are_drawn_anew_do_not(self):
        torch.manual_seed(3)
        exact = self.exact()
        torch.manual_seed(3)
        found = hypergradient(self.train, self.val, self.weights, self.alphas, VirtualStep(self.optimizer))
        assert error(found, exact) > 0.1

    def test_a_replayed_call_is_followed_by_fresh_numbers(self):
        torch.manual_seed(5)
        expected = torch.rand(4)
        torch.manual_seed(5)
        draw = replayed(torch.rand, torch.device("cpu"))
        first, second = draw(2), draw(2)
        assert torch.equal(first, expected[:2])
        assert torch.equal(second, expected[:2])
        assert torch.equal(torch.rand(2), expected[2:])


class TestMixedDerivative:
    def test_it_is_the_second_derivative_times_the_direction(self):
        q = Quadratic()
        direction = {name: q.draw(*shape) for name, shape in SHAPES.items()}
        gradients = torch.autograd.grad(q.train(q.weights), list(q.weights.values()), create_graph=True)
        product = sum((gradient * direction[name]).sum() for name, gradient in zip(q.weights, gradients, strict=True))
        exact = torch.autograd.grad(product, q.alphas)
        assert error(mixed_derivative(q.train, q.weights, q.alphas, direction), exact) < 1e-11
        assert error(mixed_derivative(q.train, q.weights, q.alphas, direction, epsilon=1.0), exact) < 1e-11

    def test_no_direction_no_derivative(self):
        q = Quadratic()
        zero = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
        for direction in ({}, zero):
            assert not any(part.any() for part in mixed_derivative(q.train, q.weights, q.alphas, direction))


class TestVirtualStep:
    @settings(max_examples=40)
    @ANY_STEP
    def test_it_is_the_step_that_the_optimizer_takes(self, name, clip, steps, seed):
        q, optimizer = problem(name, steps, seed)
        gradient = dict(zip(q.weights, torch.autograd.grad(q.train(q.weights), q.weights.values()), strict=True))
        virtual, _ = VirtualStep(optimizer, **CLIPS[clip])(q.weights, gradient)
        for key, weight in q.weights.items():
            weight.grad = gradient[key].clone()
        if "by_value" in CLIPS[clip]:
            clip_grad_value_(q.weights.values(), CLIPS[clip]["clip"])
        elif "clip" in CLIPS[clip]:
            clip_grad_norm_(q.weights.values(), CLIPS[clip]["clip"])
        optimizer.step()
        for key, weight in q.weights.items():
            torch.testing.assert_close(virtual[key], weight.detach(), rtol=1e-12, atol=1e-14)

    @settings(max_examples=40)
    @ANY_STEP
    def test_its_pull_back_is_autograds(self, name, clip, steps, seed):
        q, optimizer = problem(name, steps, seed)
        gradients = torch.autograd.grad(q.train(q.weights), list(q.weights.values()))
        given_ = {key: gradient.requires_grad_() for key, gradient in zip(q.weights, gradients, strict=True)}
        after = rule_of(optimizer, q.weights, **CLIPS[clip])(q.weights, given_)
        r = {key: q.draw(*shape) for key, shape in SHAPES.items()}
        product = sum((after[key] * r[key]).sum() for key in r)
        expected = torch.autograd.grad(product, list(given_.values()))
        _, pull_back = VirtualStep(optimizer, **CLIPS[clip])(q.weights, {k: g.detach() for k, g in given_.items()})
        found = pull_back(r)
        for key, exact in zip(q.weights, expected, strict=True):
            torch.testing.assert_close(found[key], exact, rtol=1e-8, atol=1e-12)

    def test_a_weight_whose_gradient_was_always_zero_has_a_finite_slope(self):
        """The limit of Adam's first step: lr / eps, where autograd gives nan."""
        weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        optimizer = torch.optim.AdamW([weight], lr=0.01, eps=1e-3)
        _, pull_back = VirtualStep(optimizer)({"w": weight}, {"w": torch.zeros(2, dtype=torch.float64)})
        ones = {"w": torch.ones(2, dtype=torch.float64)}
        torch.testing.assert_close(pull_back(ones)["w"], -10 * ones["w"])

    def test_weights_that_the_optimizer_does_not_have_stay(self):
        trained, frozen = (nn.Parameter(torch.ones(2)) for _ in range(2))
        step = VirtualStep(torch.optim.SGD([trained], lr=0.5))
        after, pull_back = step({"a": trained, "b": frozen}, {"a": torch.ones(2), "b": torch.ones(2)})
        assert after["a"].tolist() == [0.5, 0.5]
        assert torch.equal(after["b"], frozen)
        assert pull_back(after).keys() == {"a"}

    @pytest.mark.parametrize(
        ("optimizer", "message"),
        [
            (lambda p: torch.optim.RMSprop(p), "must know how the weights step: SGD, Adam or AdamW, got RMSprop"),
            (lambda p: torch.optim.AdamW(p, amsgrad=True), "got AdamW with amsgrad or maximize"),
            (lambda p: torch.optim.SGD(p, maximize=True), "got SGD with amsgrad or maximize"),
        ],
    )
    def test_other_optimizers_are_refused(self, optimizer, message):
        with pytest.raises(AvnasError, match=message):
            VirtualStep(optimizer([nn.Parameter(torch.ones(2))]))


def test_full_precision_ends_with_its_block():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_precision(torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
            assert torch.get_float32_matmul_precision() == "highest"
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    for precision, allowed in itertools.product(("medium", "highest"), (True, False)):
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        try:
            torch.set_float32_matmul_precision(precision)
            torch.backends.cudnn.allow_tf32 = allowed
            with full_precision(torch.device("cpu")):
                assert not torch.backends.cudnn.allow_tf32
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (precision, allowed)
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]
