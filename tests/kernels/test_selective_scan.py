"""The selective scan against the textbook recurrence."""

from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import scan_torch, selective_scan
from reference.kernels_selective_scan import make, selective_scan_by_steps, value_and_gradients
from reference.kernels_selective_scan import selective_scan as oracle

module = import_module("avhash_nas.kernels.selective_scan")


@pytest.fixture(params=["native", "torch"], autouse=True, scope="module")
def backend(request):
    """Every test runs with the backends that `auto` selects with and without a compiler."""
    usable, reason = module.load_native()
    if request.param == "native":
        if not usable:
            pytest.skip(f"native: {reason}")
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_native", lambda: (False, module.SWITCHED_OFF))
        yield request.param


@given(
    batch=st.integers(1, 3),
    steps=st.integers(1, 6),
    width=st.integers(1, 3),
    states=st.integers(1, 3),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_matches_the_scalar_recurrence(batch, steps, width, states, seed):
    inputs = make(batch, steps, width, states, seed=seed)
    torch.testing.assert_close(value_and_gradients(selective_scan, inputs), value_and_gradients(oracle, inputs))


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 9, 10, 17])
def test_gradcheck(steps):
    assert torch.autograd.gradcheck(selective_scan, make(batch=1, steps=steps, width=2, states=2))


def test_gradcheck_without_the_d_term():
    assert torch.autograd.gradcheck(selective_scan, make()[:5])


def test_long_sequence_in_float32():
    inputs = make(batch=1, steps=1000, width=4, states=16, dtype=torch.float32)
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    y, gradients = value_and_gradients(selective_scan, inputs)
    expected_y, expected = value_and_gradients(selective_scan_by_steps, exact)
    torch.testing.assert_close(y.double(), expected_y, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradients, expected):
        assert (ours.double() - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_strided_inputs():
    inputs = make(batch=4, steps=6, width=4, states=3)
    expected = value_and_gradients(selective_scan, inputs)
    strided = []
    for tensor in inputs:
        wide = torch.zeros(*(2 * size for size in tensor.shape), dtype=tensor.dtype).permute(
            *reversed(range(tensor.ndim))
        )
        view = wide[tuple(slice(0, None, 2) for _ in tensor.shape)].permute(*reversed(range(tensor.ndim)))
        strided.append(view.copy_(tensor.detach()).requires_grad_())
    assert not any(tensor.is_contiguous() for tensor in strided)
    torch.testing.assert_close(value_and_gradients(selective_scan, strided), expected)


def test_expanded_inputs():
    x, delta, A, B, C, D = make()
    one = delta[:, :, :1].detach()
    wanted = selective_scan(x, one.repeat(1, 1, 3), A, B, C, D)
    torch.testing.assert_close(selective_scan(x, one.expand(-1, -1, 3), A, B, C, D), wanted)


@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (2, 0), (0, 0)])
def test_empty_input(batch, steps):
    inputs = make(batch=batch, steps=steps)
    y = selective_scan(*inputs)
    assert y.shape == inputs[0].shape
    for gradient, tensor in zip(torch.autograd.grad(y.sum(), inputs), inputs):
        assert gradient.shape == tensor.shape
        assert not gradient.any()


def test_batch_chunks_do_not_change_the_result(monkeypatch):
    inputs = make(batch=7)
    whole = value_and_gradients(selective_scan, inputs)
    monkeypatch.setattr(scan_torch, "_CACHED", 2 * inputs[2].numel())
    torch.testing.assert_close(value_and_gradients(selective_scan, inputs), whole)


@pytest.mark.parametrize("wanted", range(6))
def test_gradient_of_a_single_input(wanted):
    inputs = make()
    expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)[wanted]
    alone = [tensor.detach().requires_grad_(i == wanted) for i, tensor in enumerate(inputs)]
    torch.testing.assert_close(torch.autograd.grad(selective_scan(*alone).sum(), alone[wanted])[0], expected)


def test_value_without_gradients():
    inputs = make()
    with torch.no_grad():
        y = selective_scan(*inputs)
    assert torch.equal(y, selective_scan(*inputs).detach())


def test_inputs_are_not_modified():
    inputs = make()
    before = [tensor.detach().clone() for tensor in inputs]
    selective_scan(*inputs).sum().backward()
    assert all(torch.equal(tensor, kept) for tensor, kept in zip(inputs, before))


def test_extreme_decay_gives_finite_gradients():
    x, delta, A, B, C, D = make(dtype=torch.float32)
    dying = (A * 1e6).detach().requires_grad_()
    y, gradients = value_and_gradients(selective_scan, [x, delta, dying, B, C, D])
    torch.testing.assert_close(y, (B * C).sum(-1, keepdim=True) * delta * x + D * x)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_input_is_computed_in_float32(dtype):
    inputs = [tensor.detach().to(dtype) for tensor in make()]
    y = selective_scan(*inputs)
    assert y.dtype == dtype
    assert torch.equal(y, selective_scan(*(tensor.float() for tensor in inputs)).to(dtype))


def test_autocast_does_not_change_the_result():
    inputs = make(dtype=torch.float32)
    expected = value_and_gradients(selective_scan, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        y, gradients = value_and_gradients(selective_scan, inputs)
    assert y.dtype == torch.float32
    assert torch.equal(y, expected[0])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(gradients, expected[1]))


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant):
    inputs = make()
    expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    checkpoint(selective_scan, *inputs, use_reentrant=reentrant).sum().backward()
    torch.testing.assert_close([tensor.grad for tensor in inputs], list(expected))


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 5), r"x must be \(B, T, E\)"),
        (1, (2, 4, 3), r"delta is \(2, 4, 3\), to match x and A it must be \(2, 5, 3\)"),
        (2, (4, 2), r"A is \(4, 2\).*must be \(3, 2\)"),
        (3, (2, 5, 3), r"B is .*must be \(2, 5, 2\)"),
        (4, (1, 5, 2), r"C is .*must be \(2, 5, 2\)"),
        (5, (1,), r"D is \(1,\).*must be \(3,\)"),
    ],
)
def test_mismatched_shapes_are_rejected(place, shape, message):
    inputs = make()
    inputs[place] = torch.ones(shape, dtype=torch.float64)
    with pytest.raises(AvnasError, match=message):
        selective_scan(*inputs)


def test_inputs_on_two_devices_are_rejected():
    inputs = make()
    inputs[3] = inputs[3].to("meta")
    with pytest.raises(AvnasError, match="B is on meta and x on cpu"):
        selective_scan(*inputs)


@pytest.mark.parametrize("backend", ["native"], indirect=True)  # exported graphs never use it
def test_exported_graph_supports_any_batch_size():
    class Scan(torch.nn.Module):
        def forward(self, x, delta, A, B, C):
            return selective_scan(x, delta, A, B, C)

    inputs = [tensor.detach() for tensor in make(batch=3)[:5]]
    batch = {0: torch.export.Dim("batch", min=2)}
    with torch.no_grad():
        exported = torch.export.export(Scan(), tuple(inputs), dynamic_shapes=(batch, batch, None, batch, batch))
    others = [tensor.detach() for tensor in make(batch=5)[:5]]
    torch.testing.assert_close(exported.module()(*others), selective_scan(*others))


def test_torch_compile_has_no_graph_break():
    torch._dynamo.reset()  # the other back end may have been compiled
    inputs = make(batch=3, steps=3)
    compiled = torch.compile(selective_scan, fullgraph=True, backend="aot_eager")
    y, gradients = value_and_gradients(compiled, inputs)
    torch.testing.assert_close((y, gradients), value_and_gradients(selective_scan, inputs))
    with pytest.raises(RuntimeError, match=r"double backward|create_graph"):
        torch.autograd.grad(compiled(*inputs).sum(), inputs[0], create_graph=True)[0].sum().backward()


@pytest.mark.parametrize("states", [1, 15, 16, 17, 40])
@pytest.mark.parametrize("width", [1, 4, 5, 131])
def test_any_number_of_states_and_channels(states, width):
    inputs = make(batch=3, steps=3, width=width, states=states)
    torch.testing.assert_close(
        value_and_gradients(selective_scan, inputs), value_and_gradients(selective_scan_by_steps, inputs)
    )


def test_float32_decays_are_accurate(backend):
    """One step from h_0 = 0 to h_1 = 1, then only decay: y_2 = exp(delta A) over the whole range."""
    exponents = torch.cat([-torch.logspace(-6, 1.94, 4000), torch.linspace(-87.3, 88.7, 4000)])
    x, one = torch.tensor([1.0, 0.0])[None, :, None].expand(1, 2, 8000), torch.ones(1, 2, 1)
    y = selective_scan(x, torch.ones(1, 2, 8000), exponents[:, None], one, one)[0, 1]
    relative = (y.double() / exponents.double().exp() - 1).abs()
    rounding = exponents.abs() * 2**-23 if backend == "torch" else 0.0  # of the exponent; see scan_torch.py
    assert (relative <= 2**-22 + rounding).all()


@pytest.mark.parametrize(("value", "expected"), [(-200.0, 0.0), (-1e30, 0.0), (-torch.inf, 0.0), (0.0, 1.0)])
def test_decays_at_extreme_exponents(value, expected):
    x, one = torch.tensor([1.0, 0.0])[None, :, None], torch.ones(1, 2, 1)
    assert selective_scan(x, one, torch.tensor([[value]]), one, one)[0, 1, 0] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_propagates(dtype):
    x, delta, A, B, C, D = (tensor.detach() for tensor in make(dtype=dtype))
    for position, tensor in enumerate((x, delta, B, C)):
        spoilt = tensor.clone()
        spoilt[0, 1, 0] = torch.nan
        inputs = [x, delta, A, B, C, D]
        inputs[(0, 1, 3, 4)[position]] = spoilt
        y = selective_scan(*inputs)
        assert y[0].isnan().any()
        assert not y[1].isnan().any()
