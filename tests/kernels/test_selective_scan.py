"""The selective scan against the textbook recurrence."""

import sys
import types
import warnings
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import SecondDerivativeError, scan_backend, scan_cuda, scan_torch, selective_scan
from reference.kernels_selective_scan import selective_scan as oracle
from reference.kernels_selective_scan import selective_scan_by_steps

module = import_module("avhash_nas.kernels.selective_scan")


def make(batch=2, steps=5, width=3, states=2, dtype=torch.float64, seed=0):
    """Random inputs x, delta, A, B, C, D that want gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, delta = normal(batch, steps, width), torch.nn.functional.softplus(normal(batch, steps, width))
    A, D = -torch.exp(normal(width, states)), normal(width)
    B, C = normal(batch, steps, states), normal(batch, steps, states)
    return [tensor.to(dtype).requires_grad_() for tensor in (x, delta, A, B, C, D)]


def value_and_gradients(function, inputs):
    y = function(*inputs)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return y, torch.autograd.grad((y * weight).sum(), inputs)


@given(
    batch=st.integers(1, 3),
    steps=st.integers(1, 6),
    width=st.integers(1, 3),
    states=st.integers(1, 3),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_agrees_with_the_recurrence_one_number_at_a_time(batch, steps, width, states, seed):
    inputs = make(batch, steps, width, states, seed=seed)
    torch.testing.assert_close(value_and_gradients(selective_scan, inputs), value_and_gradients(oracle, inputs))


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 9, 10, 17])
def test_gradcheck(steps):
    assert torch.autograd.gradcheck(selective_scan, make(steps=steps))


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


def test_strided_inputs_give_the_same():
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


def test_expanded_inputs_give_the_same():
    x, delta, A, B, C, D = make()
    one = delta[:, :, :1].detach()
    wanted = selective_scan(x, one.repeat(1, 1, 3), A, B, C, D)
    torch.testing.assert_close(selective_scan(x, one.expand(-1, -1, 3), A, B, C, D), wanted)


@pytest.mark.parametrize(("batch", "steps"), [(0, 5), (2, 0), (0, 0)])
def test_empty_input_gives_empty_output_and_zero_gradients(batch, steps):
    inputs = make(batch=batch, steps=steps)
    y = selective_scan(*inputs)
    assert y.shape == inputs[0].shape
    for gradient, tensor in zip(torch.autograd.grad(y.sum(), inputs), inputs):
        assert gradient.shape == tensor.shape
        assert not gradient.any()


def test_chunks_of_the_batch_change_nothing(monkeypatch):
    inputs = make(batch=7)
    whole = value_and_gradients(selective_scan, inputs)
    monkeypatch.setattr(scan_torch, "_CACHED", 2 * inputs[2].numel())
    torch.testing.assert_close(value_and_gradients(selective_scan, inputs), whole)


@pytest.mark.parametrize("wanted", range(6))
def test_a_single_input_may_want_a_gradient(wanted):
    inputs = make()
    expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)[wanted]
    alone = [tensor.detach().requires_grad_(i == wanted) for i, tensor in enumerate(inputs)]
    torch.testing.assert_close(torch.autograd.grad(selective_scan(*alone).sum(), alone[wanted])[0], expected)


def test_without_gradients_the_value_is_the_same():
    inputs = make()
    with torch.no_grad():
        y = selective_scan(*inputs)
    assert torch.equal(y, selective_scan(*inputs).detach())


def test_inputs_are_left_as_they_were():
    inputs = make()
    before = [tensor.detach().clone() for tensor in inputs]
    selective_scan(*inputs).sum().backward()
    assert all(torch.equal(tensor, kept) for tensor, kept in zip(inputs, before))


def test_states_that_die_at_once_leave_finite_gradients():
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


def test_autocast_changes_nothing():
    inputs = make(dtype=torch.float32)
    expected = value_and_gradients(selective_scan, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        y, gradients = value_and_gradients(selective_scan, inputs)
    assert y.dtype == torch.float32
    assert torch.equal(y, expected[0])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(gradients, expected[1]))


class TestSecondDerivatives:
    def test_each_is_refused_below_a_constant_gradient(self):
        inputs = make()
        for gradient in torch.autograd.grad(selective_scan(*inputs).sum(), inputs, create_graph=True):
            with pytest.raises(SecondDerivativeError, match="selective_scan has no second derivative"):
                gradient.sum().backward(retain_graph=True)

    def test_they_are_refused_below_a_gradient_that_varies(self):
        inputs = make()
        gradients = torch.autograd.grad(selective_scan(*inputs).pow(2).sum(), inputs, create_graph=True)
        with pytest.raises(SecondDerivativeError):
            torch.autograd.grad(gradients[0].sum(), inputs[2])

    def test_they_are_refused_inside_a_sum_that_has_a_first_derivative(self):
        inputs = make()
        y = selective_scan(*inputs).sum()
        (gradient,) = torch.autograd.grad(y, inputs[0], create_graph=True)
        with pytest.raises(SecondDerivativeError):
            (y + gradient.pow(2).sum()).backward()

    def test_a_graph_of_the_first_derivative_alone_is_allowed(self):
        inputs = make()
        expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
        torch.testing.assert_close(
            torch.autograd.grad(selective_scan(*inputs).sum(), inputs, create_graph=True), expected
        )

    def test_torch_func_gives_the_first_and_refuses_the_second(self):
        x, *rest = (tensor.detach() for tensor in make())

        def loss(x):
            return selective_scan(x, *rest).pow(2).sum()

        x_leaf = x.clone().requires_grad_()
        torch.testing.assert_close(torch.func.grad(loss)(x), torch.autograd.grad(loss(x_leaf), x_leaf)[0])
        with pytest.raises(SecondDerivativeError):
            torch.func.grad(lambda x: torch.func.grad(loss)(x).sum())(x)

    def test_the_error_is_one_of_bad_input(self):
        assert issubclass(SecondDerivativeError, AvnasError)
        assert issubclass(SecondDerivativeError, RuntimeError)


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
        (1, (2, 4, 3), r"delta is \(2, 4, 3\), to fit x and A it must be \(2, 5, 3\)"),
        (2, (4, 2), r"A is \(4, 2\).*must be \(3, 2\)"),
        (3, (2, 5, 3), r"B is .*must be \(2, 5, 2\)"),
        (4, (1, 5, 2), r"C is .*must be \(2, 5, 2\)"),
        (5, (1,), r"D is \(1,\).*must be \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit(place, shape, message):
    inputs = make()
    inputs[place] = torch.ones(shape, dtype=torch.float64)
    with pytest.raises(AvnasError, match=message):
        selective_scan(*inputs)


def test_inputs_on_two_devices():
    inputs = make()
    inputs[3] = inputs[3].to("meta")
    with pytest.raises(AvnasError, match="B is on meta and x on cpu"):
        selective_scan(*inputs)


class TestBackends:
    """What can be checked of the choice without a CUDA device; `load_mamba` is replaced."""

    cuda = torch.device("cuda")

    @staticmethod
    def kernel(u, delta, A, B, C):
        """Stands in for mamba-ssm's function: time last."""
        return selective_scan_by_steps(
            u.transpose(1, 2), delta.transpose(1, 2), A, B.transpose(1, 2), C.transpose(1, 2)
        ).transpose(1, 2)

    def test_torch_and_auto_agree_on_the_cpu(self):
        inputs = make()
        assert torch.equal(selective_scan(*inputs, backend="torch"), selective_scan(*inputs, backend="auto"))

    def test_cuda_is_refused_on_the_cpu(self):
        with pytest.raises(AvnasError, match="backend 'cuda' needs tensors on a CUDA device"):
            selective_scan(*make(dtype=torch.float32), backend="cuda")

    def test_unknown_backend(self):
        with pytest.raises(AvnasError, match="backend is 'triton', take one of auto, torch, cuda"):
            selective_scan(*make(), backend="triton")

    def test_cuda_is_refused_without_mamba(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (None, "mamba-ssm cannot be imported (reason)"))
        with pytest.raises(AvnasError, match=r"needs mamba-ssm: mamba-ssm cannot be imported \(reason\); install it"):
            module._choose("cuda", self.cuda, torch.float32)

    def test_auto_without_mamba_warns_once(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (None, "mamba-ssm cannot be imported (reason)"))
        module._warn_once.cache_clear()
        with pytest.warns(UserWarning, match=r"slow: mamba-ssm cannot be imported \(reason\)"):
            assert module._choose("auto", self.cuda, torch.float32) is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert module._choose("auto", self.cuda, torch.float32) is None

    def test_auto_and_cuda_take_mamba_where_it_can_run(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (self.kernel, "mamba-ssm 2.2.4"))
        assert module._choose("auto", self.cuda, torch.float32) is self.kernel
        assert module._choose("cuda", self.cuda, torch.float32) is self.kernel
        assert module._choose("torch", self.cuda, torch.float32) is None
        assert module._choose("auto", self.cuda, torch.float64) is None
        with pytest.raises(AvnasError, match="not float64"):
            module._choose("cuda", self.cuda, torch.float64)

    def test_the_kernel_gets_time_last_and_gives_the_same(self, monkeypatch):
        inputs = make(dtype=torch.float32)
        expected = value_and_gradients(selective_scan, inputs)
        monkeypatch.setattr(module, "_choose", lambda *_: self.kernel)
        torch.testing.assert_close(value_and_gradients(selective_scan, inputs), expected)

    def test_second_derivatives_are_refused_there_too(self, monkeypatch):
        monkeypatch.setattr(module, "_choose", lambda *_: self.kernel)
        inputs = make()
        (gradient,) = torch.autograd.grad(selective_scan(*inputs).sum(), inputs[0], create_graph=True)
        with pytest.raises(SecondDerivativeError):
            gradient.sum().backward()


class TestLoadMamba:
    @pytest.fixture(autouse=True)
    def _fresh(self):
        scan_cuda.load_mamba.cache_clear()
        yield
        scan_cuda.load_mamba.cache_clear()

    def install(self, monkeypatch, **modules):
        for name, attributes in modules.items():
            fake = types.ModuleType(name.replace("__", "."))
            vars(fake).update(attributes)
            monkeypatch.setitem(sys.modules, fake.__name__, fake)

    def test_found(self, monkeypatch):
        self.install(
            monkeypatch,
            mamba_ssm={"__version__": "2.2.4"},
            mamba_ssm__ops={},
            mamba_ssm__ops__selective_scan_interface={"selective_scan_fn": TestBackends.kernel},
            selective_scan_cuda={},
        )
        assert scan_cuda.load_mamba() == (TestBackends.kernel, "mamba-ssm 2.2.4")

    def test_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mamba_ssm", None)
        function, reason = scan_cuda.load_mamba()
        assert function is None
        assert reason.startswith("mamba-ssm cannot be imported (")

    def test_built_without_cuda(self, monkeypatch):
        self.install(
            monkeypatch,
            mamba_ssm={"__version__": "2.2.4"},
            mamba_ssm__ops={},
            mamba_ssm__ops__selective_scan_interface={"selective_scan_fn": TestBackends.kernel},
        )
        monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)
        assert scan_cuda.load_mamba()[0] is None

    def test_diagnostics_name_the_choice_and_the_reason(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (None, "mamba-ssm cannot be imported (reason)"))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert scan_backend() == "torch (no CUDA device; mamba-ssm cannot be imported (reason))"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert scan_backend().startswith("torch (mamba-ssm cannot be imported (reason); install it with: pip install")
        monkeypatch.setattr(module, "load_mamba", lambda: (TestBackends.kernel, "mamba-ssm 2.2.4"))
        assert scan_backend() == "cuda (mamba-ssm 2.2.4); torch for CPU tensors and float64"


@pytest.mark.gpu
class TestOnCuda:
    @pytest.fixture(autouse=True)
    def _needs_cuda(self):
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")

    @pytest.mark.parametrize("steps", [1, 25, 200])
    def test_torch_backend_agrees_with_the_cpu(self, steps):
        inputs = make(steps=steps)
        moved = [tensor.detach().cuda().requires_grad_() for tensor in inputs]
        y = selective_scan(*moved, backend="torch")
        torch.testing.assert_close(y.cpu(), selective_scan(*inputs))
        gradients = torch.autograd.grad(y.sum(), moved)
        expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
        torch.testing.assert_close([gradient.cpu() for gradient in gradients], list(expected))

    @pytest.mark.parametrize("shape", [(2, 1, 64, 16), (3, 25, 96, 16), (1, 300, 32, 4)])
    def test_mamba_agrees_with_torch(self, shape):
        if scan_cuda.load_mamba()[0] is None:
            pytest.skip("mamba-ssm is not installed")
        inputs = [tensor.detach().cuda().requires_grad_() for tensor in make(*shape, dtype=torch.float32)]
        y, y_torch = selective_scan(*inputs, backend="cuda"), selective_scan(*inputs, backend="torch")
        torch.testing.assert_close(y, y_torch, rtol=1e-3, atol=1e-3)
        for ours, theirs in zip(torch.autograd.grad(y.sum(), inputs), torch.autograd.grad(y_torch.sum(), inputs)):
            assert (ours - theirs).abs().max() <= 1e-3 * theirs.abs().max()

    def test_mamba_under_autocast(self):
        if scan_cuda.load_mamba()[0] is None:
            pytest.skip("mamba-ssm is not installed")
        inputs = [tensor.detach().cuda() for tensor in make(dtype=torch.float32)]
        with torch.autocast("cuda", torch.bfloat16):
            y = selective_scan(*inputs, backend="cuda")
        assert torch.equal(y, selective_scan(*inputs, backend="cuda"))
