"""The latency term: the expectation against the whole space, its gradient, its two forms, tables that do not fit."""

import itertools
import math

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.strategies import ProxylessNAS, SearchProgress
from avhash_nas.strategies.gates import Gate
from avhash_nas.strategies.latency_term import LatencyTerm
from reference.strategies_proxylessnas import softmax
from strategies.timed import SMALL, TIMES, table, write


@pytest.fixture
def table_path(tmp_path):
    return write(tmp_path / "latency.json", table())


def term_of(path, **options):
    term = LatencyTerm(path, **{"form": "add", **options})
    term.setup_search(SMALL)
    return term


def probabilities_of(logits):
    return {cell.name: torch.softmax(values, 0) for cell, values in zip(SMALL.choices, logits, strict=True)}


def some_logits():
    generator = torch.Generator().manual_seed(5)
    return [
        torch.randn(len(cell.candidates), generator=generator, dtype=torch.float64).requires_grad_()
        for cell in SMALL.choices
    ]


def test_it_is_the_mean_over_all_architectures(table_path):
    """Against the sum over the whole space, each architecture with its probability and its time."""
    term, logits = term_of(table_path), some_logits()
    total = 0.0
    for places in itertools.product(*(range(len(cell.candidates)) for cell in SMALL.choices)):
        probability = math.prod(softmax(values.tolist())[place] for values, place in zip(logits, places))
        path = {cell.name: place for cell, place in zip(SMALL.choices, places)}
        architecture = SMALL.architecture({**path, "visual.U2": 0})
        assert term.of_path(path) == pytest.approx(table().total(SMALL, architecture))
        total += probability * term.of_path(path)
    assert float(term.expected(probabilities_of(logits)).detach()) == pytest.approx(total)


@pytest.mark.parametrize("form", ["add", "multiply"])
def test_its_gradient_is_the_difference_quotient(table_path, form):
    term, logits = term_of(table_path, form=form, weight=0.3), some_logits()
    loss = torch.tensor(2.5, dtype=torch.float64)

    def value(*values):
        return term.penalized(loss, term.expected(probabilities_of(values)))

    assert torch.autograd.gradcheck(value, logits, rtol=1e-7)
    assert all(gradient.abs().max() > 1e-3 for gradient in torch.autograd.grad(value(*logits), logits))


@pytest.mark.parametrize(("seconds", "added", "multiplied"), [(10.0, 2.3, 2.0), (20.0, 2.6, 2.4623), (0.0, 2.0, 0.0)])
def test_the_two_forms(table_path, seconds, added, multiplied):
    """loss + 0.3 * E / 10 and loss * (E / 10) ** 0.3."""
    loss = torch.tensor(2.0)
    for form, expected in (("add", added), ("multiply", multiplied)):
        term = term_of(table_path, form=form, weight=0.3, reference=10.0)
        assert float(term.penalized(loss, seconds)) == pytest.approx(expected, abs=1e-4)


def test_two_gates_count_the_two_that_run(table_path):
    """As in the authors' code; so the term, too, leaves the others where they are."""
    term = term_of(table_path)
    gates = {"visual.M1": Gate((3, 1), 1), "visual.U1": Gate((0, 2), 0), "F": Gate((1, 0), 1)}
    probabilities = {name: torch.tensor([0.25, 0.75]) for name in gates}
    expected = 5.5 + (0.25 * 7 + 0.75 * 1) + 0.75 * 0.75 + (0.25 * 1.5 + 0.75 * 0.25)
    assert float(term.expected(probabilities, gates)) == pytest.approx(expected)


def test_the_reference_is_the_mean_over_the_space_unless_given(table_path):
    mean = 5.5 + 13 / 5 + 1.25 / 3 + 1.75 / 2
    assert term_of(table_path).reference == pytest.approx(mean)
    assert term_of(table_path, reference=3.0).reference == 3.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"U@8": TIMES["U@8"]}, "it has no time of skip, conv3, conv4, ffn, mlp at M@8, for cell visual.M1"),
        ({**TIMES, "U@8": {"skip": 0.0, "silu": 0.5}}, "it has no time of layer_norm at U@8, for cell visual.U1"),
    ],
)
def test_a_table_of_another_space(tmp_path, changed, message):
    path = write(tmp_path / "other.json", table(changed))
    with pytest.raises(AvnasError, match=f"strategy.latency: {path}: {message}; measure again"):
        term_of(path)


def test_a_table_of_another_width(tmp_path, space, make_module, make_data, make_trainer):
    names = {name for cell in space.cells for name in cell.candidates}
    cells = {f"{kind}@{width}": dict.fromkeys(names, 1.0) for kind in "MUDIFT" for width in (16, 8)}
    fits = write(tmp_path / "fits.json", table(cells, width=8))
    strategy = ProxylessNAS(latency=fits, train_fraction=0.5, warmup=0.0, every=1)
    make_trainer(1, limit_train_batches=2).fit(make_module(strategy=strategy), datamodule=make_data())
    assert strategy.summary(SearchProgress(0, 0, 1, 1))["latency_ms"] == pytest.approx(30_000)
    wide = {f"{name[0]}@{int(name[2:]) * 4}": times for name, times in cells.items()}
    wider = write(tmp_path / "wider.json", table(wide, width=32))
    strategy = ProxylessNAS(latency=wider, train_fraction=0.5)
    with pytest.raises(AvnasError, match="it was measured at width 32, the network has 8; measure again"):
        make_trainer(1).fit(make_module(strategy=strategy), datamodule=make_data())
