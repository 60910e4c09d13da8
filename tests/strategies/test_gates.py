"""Binary gates: the gradient of Eq. 4, a forward pass of one candidate alone, sampling, the rescaling of two paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.space import Cell
from avhash_nas.strategies.gates import Gate, draw, full_gate, rescale, two_path_gate
from reference.strategies_proxylessnas import active_of_two, gate_gradient, softmax, two_path_step

M = ("skip", "self_attention", "self_ssm", "conv3", "conv4", "conv5", "mlp", "ffn")
SIZES = {"width": 4, "model_width": 4, "hidden": 8, "expand": 1, "heads": 2, "states": 2, "rank": 2, "dropout": 0.0}
DRAWS = 20_000


def random(seed=0):
    return np.random.default_rng(seed)


@st.composite
def gated_cells(draw_from):
    """Logits of a cell, a gate of it, and dL/dg of the candidates that run."""
    size = draw_from(st.integers(2, 8))
    numbers = st.floats(-3, 3, width=32)
    logits = draw_from(st.lists(numbers, min_size=size, max_size=size))
    make = draw_from(st.sampled_from([full_gate, two_path_gate]))
    gate = make(np.array(logits), random(draw_from(st.integers(0, 99))))
    return logits, gate, draw_from(st.lists(numbers, min_size=len(gate.candidates), max_size=len(gate.candidates)))


@pytest.fixture(scope="module")
def cell():
    torch.manual_seed(0)
    return MixedCell(Cell("visual.M1", M), SIZES).double()


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


GATES = [
    Gate((6, 2), 2),
    Gate((2, 6), 2),
    Gate((0, 7), 7),
    Gate(tuple(range(8)), 1),
    Gate(tuple(range(8)), 0),
]


class TestGradient:
    @given(gated_cells())
    def test_it_is_equation_4(self, case):
        logits, gate, of_gates = case
        alpha = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
        weights = gate.mixture(gate.probabilities(alpha)).weights
        (found,) = torch.autograd.grad((weights * torch.tensor(of_gates, dtype=torch.float64)).sum(), alpha)
        expected = gate_gradient(logits, gate.candidates, of_gates)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("gate", GATES, ids=str)
    def test_in_a_cell_the_gates_gradients_are_products_with_the_candidates_outputs(self, gate, cell, inputs):
        """dL/dg_j = <dL/dy, o_j>, at the output of the active candidate: put together by hand, in plain numbers."""
        logits = torch.linspace(-1, 1, 8, dtype=torch.float64, requires_grad=True)
        route = {"visual.M1": gate.mixture(gate.probabilities(logits))}
        (found,) = torch.autograd.grad(torch.sin(cell(inputs, route=route)).sum(), logits)
        outputs = [cell(inputs, route={"visual.M1": position}).detach() for position in range(8)]
        slope = torch.cos(outputs[gate.active])
        of_gates = [float((slope * outputs[position]).sum()) for position in gate.candidates]
        expected = gate_gradient(logits.tolist(), gate.candidates, of_gates)
        assert max(map(abs, expected)) > 1e-3
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("gate", GATES, ids=str)
    def test_only_the_active_candidate_s_weights_have_a_gradient(self, gate, cell, inputs):
        logits = torch.zeros(8, dtype=torch.float64, requires_grad=True)
        cell.zero_grad()
        cell(inputs, route={"visual.M1": gate.mixture(gate.probabilities(logits))}).square().sum().backward()
        for position, operator in enumerate(cell.operators.values()):
            for parameter in operator.parameters():
                assert (parameter.grad is not None) == (position == gate.active)


class TestForward:
    @pytest.mark.parametrize("gate", GATES, ids=str)
    def test_it_is_the_active_candidate_s_to_the_bit(self, gate, cell, inputs):
        logits = torch.linspace(-2, 3, 8, dtype=torch.float64, requires_grad=True)
        mixture = gate.mixture(gate.probabilities(logits))
        assert torch.equal(cell(inputs, route={"visual.M1": mixture}), cell(inputs, route={"visual.M1": gate.active}))

    @given(gated_cells())
    def test_the_weights_are_one_hot_to_the_bit(self, case):
        logits, gate, _ = case
        weights = gate.mixture(gate.probabilities(torch.tensor(logits))).weights
        assert weights.tolist() == [float(position == gate.active) for position in gate.candidates]


def chi_square(counts, p):
    """Pearson's statistic, and what it stays below unless p is wrong: six deviations above its mean."""
    total = sum(counts)
    statistic = sum((count - total * part) ** 2 / (total * part) for count, part in zip(counts, p, strict=True))
    freedom = len(p) - 1
    return statistic, freedom + 6 * math.sqrt(2 * freedom)


def counts_of(gates, size):
    return np.bincount([gate.active for gate in gates], minlength=size)


LOGITS = [np.log([0.8, 0.1, 0.1]), np.array([0.3, -1.2, 0.9, 0.0, 0.4, -0.5, 1.1, 0.2]), np.array([1.0, -0.5])]


class TestSampling:
    @pytest.mark.parametrize("logits", LOGITS, ids=len)
    def test_a_path_follows_the_softmax(self, logits):
        generator = random()
        drawn = [draw(logits, 1, generator)[0] for _ in range(DRAWS)]
        statistic, limit = chi_square(np.bincount(drawn, minlength=len(logits)), softmax(logits.tolist()))
        assert statistic < limit

    @pytest.mark.parametrize("logits", LOGITS, ids=len)
    def test_the_active_one_of_all_follows_the_softmax(self, logits):
        generator = random(1)
        counts = counts_of([full_gate(logits, generator) for _ in range(DRAWS)], len(logits))
        statistic, limit = chi_square(counts, softmax(logits.tolist()))
        assert statistic < limit

    @pytest.mark.parametrize("logits", LOGITS, ids=len)
    def test_the_active_one_of_two_follows_the_exact_formula(self, logits):
        generator = random(2)
        counts = counts_of([two_path_gate(logits, generator) for _ in range(DRAWS)], len(logits))
        p = softmax(logits.tolist())
        statistic, limit = chi_square(counts, active_of_two(p))
        assert statistic < limit
        if len(logits) > 2:
            statistic, limit = chi_square(counts, p)  # the test tells the two distributions apart
            assert statistic > limit

    def test_the_formula_has_the_known_values(self):
        assert active_of_two([0.8, 0.1, 0.1]) == pytest.approx([0.869, 0.0654, 0.0654], abs=1e-3)
        assert active_of_two([0.7, 0.3]) == pytest.approx([0.7, 0.3])
        assert active_of_two([0.25] * 4) == pytest.approx([0.25] * 4)

    @given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.integers(0, 999))
    def test_two_paths_are_two_and_the_active_is_one_of_them(self, logits, seed):
        gate = two_path_gate(np.array(logits), random(seed))
        assert len(set(gate.candidates)) == 2
        assert set(gate.candidates) <= set(range(len(logits)))
        assert gate.active in gate.candidates

    def test_a_decided_cell_still_has_two_paths(self):
        """The probabilities of all but one are 0 in floating point: a draw by probabilities would have no second."""
        logits = np.array([0.0, 2000.0, 0.0])
        gates = [two_path_gate(logits, random(seed)) for seed in range(50)]
        assert {gate.active for gate in gates} == {1}
        assert {position for gate in gates for position in gate.candidates} == {0, 1, 2}


class TestRescaling:
    def steps(self, count=40, size=6, betas=(0.0, 0.999)):
        """Updates of one cell by Adam; yields (before, after, gate, dL/dg)."""
        generator = random(4)
        logits = torch.nn.Parameter(torch.tensor(generator.normal(size=size)))
        optimizer = torch.optim.Adam([logits], lr=0.05, betas=betas)
        for _ in range(count):
            before = logits.detach().clone()
            gate = two_path_gate(before.numpy(), generator)
            of_gates = torch.tensor(generator.normal(size=2))
            loss = (gate.mixture(gate.probabilities(logits)).weights * of_gates).sum()
            (logits.grad,) = torch.autograd.grad(loss, logits)
            optimizer.step()
            rescale(logits, before, gate)
            yield before, logits.detach().clone(), gate, of_gates.tolist()

    def test_the_probabilities_of_the_others_do_not_change_nor_does_the_joint_one_of_the_two(self):
        for before, after, gate, _ in self.steps():
            old, new = torch.softmax(before, 0), torch.softmax(after, 0)
            pair = list(gate.candidates)
            others = [place for place in range(len(before)) if place not in pair]
            assert torch.equal(before[others], after[others])
            torch.testing.assert_close(new[others], old[others], rtol=0, atol=1e-15)
            assert float(new[pair].sum()) == pytest.approx(float(old[pair].sum()), abs=1e-15)
            assert float((new - old)[pair].abs().min()) > 1e-6  # the two did move

    def test_the_update_is_that_of_the_formulas(self):
        progress = None
        for step, (before, after, gate, of_gates) in enumerate(self.steps(), start=1):
            expected, progress = two_path_step(
                before.tolist(), gate.candidates, of_gates, lr=0.05, second_moment=progress, step=step
            )
            torch.testing.assert_close(after, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)

    def test_momentum_would_move_candidates_that_were_not_sampled(self):
        moved = []
        for before, after, gate, _ in self.steps(betas=(0.5, 0.999)):
            others = [place for place in range(len(before)) if place not in gate.candidates]
            moved.append(float((after - before)[others].abs().max()))
        assert max(moved) > 1e-3
