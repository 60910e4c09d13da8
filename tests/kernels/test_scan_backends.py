"""Selection of the scan's backend, and reports of unavailable ones."""

import subprocess
import sys
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import SecondDerivativeError, scan_backend, scan_cuda, scan_native, scan_triton, selective_scan
from reference.kernels_selective_scan import make, selective_scan_by_steps, value_and_gradients

module = import_module("avhash_nas.kernels.selective_scan")


class TestBackends:
    """The selection without a CUDA device; `load_mamba` and `load_triton` are replaced."""

    cuda = torch.device("cuda")

    @pytest.fixture(autouse=True)
    def _neither(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (None, "mamba-ssm cannot be imported (reason)"))
        monkeypatch.setattr(module, "load_triton", lambda: (False, "triton cannot be imported (reason)"))

    @staticmethod
    def kernel(u, delta, A, B, C):
        """Replaces mamba-ssm's function, which takes time last."""
        return selective_scan_by_steps(
            u.transpose(1, 2), delta.transpose(1, 2), A, B.transpose(1, 2), C.transpose(1, 2)
        ).transpose(1, 2)

    def test_torch_and_auto_agree_on_the_cpu(self):
        inputs = make()
        torch.testing.assert_close(selective_scan(*inputs, backend="torch"), selective_scan(*inputs, backend="auto"))

    def test_cuda_backend_raises_on_the_cpu(self):
        with pytest.raises(AvnasError, match="backend 'cuda' needs tensors on a CUDA device"):
            selective_scan(*make(dtype=torch.float32), backend="cuda")

    def test_unknown_backend(self):
        with pytest.raises(AvnasError, match="backend is 'jax', take one of auto, torch, native, triton, cuda"):
            selective_scan(*make(), backend="jax")

    def test_cuda_backend_raises_without_mamba(self):
        with pytest.raises(AvnasError, match=r"needs mamba-ssm: mamba-ssm cannot be imported \(reason\); install it"):
            module._choose("cuda", self.cuda, torch.float32)

    def test_triton_backend_raises_if_unavailable(self, monkeypatch):
        with pytest.raises(AvnasError, match=r"'triton' is unavailable: triton cannot be imported \(reason\); or use"):
            module._choose("triton", self.cuda, torch.float32)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)
        with pytest.raises(AvnasError, match="backend 'triton' needs tensors on a CUDA device"):
            module._choose("triton", torch.device("cpu"), torch.float32)
        with pytest.raises(AvnasError, match="not float64"):
            module._choose("triton", self.cuda, torch.float64)

    def test_auto_selects_triton_without_mamba(self, monkeypatch):
        monkeypatch.setattr(module, "load_triton", lambda: (True, "triton 3.3.0"))
        assert module._choose("auto", self.cuda, torch.float32) == "triton"
        assert module._choose("triton", self.cuda, torch.float32) == "triton"
        assert module._choose("auto", self.cuda, torch.float64) == "torch"

    def test_auto_without_both_warns_once(self):
        module._warn_once.cache_clear()
        with pytest.warns(UserWarning, match=r"slow: triton .* \(reason\); mamba-ssm .* \(reason\); install it with"):
            assert module._choose("auto", self.cuda, torch.float32) == "torch"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert module._choose("auto", self.cuda, torch.float32) == "torch"

    def test_auto_and_cuda_select_mamba(self, monkeypatch):
        monkeypatch.setattr(module, "load_mamba", lambda: (self.kernel, "mamba-ssm 2.2.4"))
        monkeypatch.setattr(module, "load_triton", lambda: (True, "triton 3.3.0"))
        assert module._choose("auto", self.cuda, torch.float32) == "cuda"
        assert module._choose("cuda", self.cuda, torch.float32) == "cuda"
        assert module._choose("torch", self.cuda, torch.float32) == "torch"
        assert module._choose("auto", self.cuda, torch.float64) == "torch"
        with pytest.raises(AvnasError, match="not float64"):
            module._choose("cuda", self.cuda, torch.float64)

    def test_mamba_kernel_receives_time_last(self, monkeypatch):
        inputs = make(dtype=torch.float32)
        expected = value_and_gradients(selective_scan, inputs)
        monkeypatch.setattr(module, "_choose", lambda *_: "cuda")
        monkeypatch.setattr(scan_cuda, "load_mamba", lambda: (self.kernel, "mamba-ssm 2.2.4"))
        torch.testing.assert_close(value_and_gradients(selective_scan, inputs), expected)

    def test_second_derivative_raises_on_cuda(self, monkeypatch):
        monkeypatch.setattr(module, "_choose", lambda *_: "cuda")
        monkeypatch.setattr(scan_cuda, "load_mamba", lambda: (self.kernel, "mamba-ssm 2.2.4"))
        inputs = make()
        (gradient,) = torch.autograd.grad(selective_scan(*inputs).sum(), inputs[0], create_graph=True)
        with pytest.raises(SecondDerivativeError):
            gradient.sum().backward()


class TestNative:
    """The selection of the compiled operator, and the report if it is unavailable."""

    cpu = torch.device("cpu")

    def test_auto_selects_native_for_both_types(self, monkeypatch):
        monkeypatch.setattr(module, "load_native", lambda: (True, ""))
        for dtype in (torch.float32, torch.float64):
            assert module._choose("auto", self.cpu, dtype) == "native"
        assert module._choose("torch", self.cpu, torch.float32) == "torch"

    def test_auto_without_native_warns_once(self, monkeypatch):
        monkeypatch.setattr(module, "load_native", lambda: (False, "no C++ compiler found"))
        module._warn_once.cache_clear()
        with pytest.warns(UserWarning, match="several times as fast: no C\\+\\+ compiler found"):
            assert module._choose("auto", self.cpu, torch.float32) == "torch"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert module._choose("auto", self.cpu, torch.float32) == "torch"

    def test_native_backend_raises_if_unavailable(self, monkeypatch):
        monkeypatch.setattr(module, "load_native", lambda: (False, "no C++ compiler found"))
        with pytest.raises(AvnasError, match="'native' is unavailable: no C\\+\\+ compiler found"):
            selective_scan(*make(), backend="native")
        with pytest.raises(AvnasError, match="needs tensors on the CPU"):
            module._choose("native", TestBackends.cuda, torch.float32)


SCAN = """
import sys, warnings, torch
from avhash_nas.kernels import selective_scan
warnings.simplefilter("error")
one = torch.ones(1, 3, 1)
print(selective_scan(one, one, torch.zeros(1, 1), one, one).flatten().tolist())
"""


class TestCompiling:
    """Compilation with a cache folder of its own; a script replaces the compiler."""

    @pytest.fixture(autouse=True)
    def _fresh(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AVNAS_NATIVE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr(module, "load_native", scan_native.load_native.__wrapped__)
        module._warn_once.cache_clear()
        yield
        module._warn_once.cache_clear()

    def scan(self):
        one = torch.ones(1, 3, 1)
        return selective_scan(one, one, torch.zeros(1, 1), one, one).flatten().tolist()

    def compiler(self, folder, body):
        script = folder / "cxx"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        return str(script)

    def test_compiler_error_is_reported_and_leaves_no_files(self, tmp_path, monkeypatch):
        body = '[ "$1" = --version ] && echo fake 1.0 && exit\necho "scan.cpp:1: error: no such thing" >&2; exit 1'
        monkeypatch.setenv("CXX", self.compiler(tmp_path, body))
        message = "selective_scan loops over time in PyTorch on a CPU.*cxx failed: scan.cpp:1: error: no such thing"
        with pytest.warns(UserWarning, match=message):
            assert self.scan() == [1.0, 2.0, 3.0]
        assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]

    @pytest.mark.filterwarnings("ignore:selective_scan loops over time")
    def test_unloadable_library_falls_back(self, tmp_path, monkeypatch):
        body = 'for last; do :; done\n[ "$1" = --version ] && echo fake 1.0 || echo text > "$last"'
        monkeypatch.setenv("CXX", self.compiler(tmp_path, body))
        assert self.scan() == [1.0, 2.0, 3.0]
        assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".lock", ".so"]

    def test_disabled_libraries_do_not_warn(self, tmp_path, monkeypatch, capfd):
        monkeypatch.setenv("AVNAS_NATIVE", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert self.scan() == [1.0, 2.0, 3.0]
        assert capfd.readouterr().err == ""
        assert not (tmp_path / "cache").exists()

    @pytest.mark.slow
    def test_concurrent_processes_compile_once(self, tmp_path):
        def run(_=None):
            return subprocess.run([sys.executable, "-c", SCAN], capture_output=True, text=True, check=False)

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(run, range(2)))
        assert [result.stdout for result in results] == ["[1.0, 2.0, 3.0]\n"] * 2
        assert sum("compiling" in result.stderr for result in results) == 1
        assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".lock", ".so"]
        assert run().stderr == ""


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

    def test_load_mamba(self, monkeypatch):
        self.install(
            monkeypatch,
            mamba_ssm={"__version__": "2.2.4"},
            mamba_ssm__ops={},
            mamba_ssm__ops__selective_scan_interface={"selective_scan_fn": TestBackends.kernel},
            selective_scan_cuda={},
        )
        assert scan_cuda.load_mamba() == (TestBackends.kernel, "mamba-ssm 2.2.4")

    def test_missing_mamba(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "mamba_ssm", None)
        function, reason = scan_cuda.load_mamba()
        assert function is None
        assert reason.startswith("mamba-ssm cannot be imported (")

    def test_mamba_without_cuda(self, monkeypatch):
        self.install(
            monkeypatch,
            mamba_ssm={"__version__": "2.2.4"},
            mamba_ssm__ops={},
            mamba_ssm__ops__selective_scan_interface={"selective_scan_fn": TestBackends.kernel},
        )
        monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)
        assert scan_cuda.load_mamba()[0] is None

    def test_scan_backend_reports_choice_and_reason(self, monkeypatch):
        monkeypatch.setattr(module, "load_native", lambda: (True, "compiled by c++ 12"))
        monkeypatch.setattr(module, "load_mamba", lambda: (None, "mamba-ssm cannot be imported (reason)"))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert scan_backend() == "native (compiled by c++ 12); no CUDA device"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(module, "load_triton", lambda: (False, "triton cannot be imported (no)"))
        reasons = "mamba-ssm cannot be imported (reason); install it with: pip install"
        assert scan_backend().startswith(f"torch (triton cannot be imported (no); {reasons}")
        monkeypatch.setattr(module, "load_triton", lambda: (True, "triton 3.3.0"))
        assert scan_backend().startswith(f"triton (triton 3.3.0; {reasons}")
        monkeypatch.setattr(module, "load_mamba", lambda: (TestBackends.kernel, "mamba-ssm 2.2.4"))
        assert scan_backend() == "cuda (mamba-ssm 2.2.4) for CUDA tensors; native (compiled by c++ 12) for others"
        monkeypatch.setattr(module, "load_native", lambda: (False, "no C++ compiler found"))
        assert scan_backend().endswith("torch (no C++ compiler found) for others")


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

    @pytest.mark.parametrize("shape", [(2, 1, 64, 16), (3, 25, 96, 16), (1, 300, 33, 40)])
    def test_triton_agrees_with_torch(self, shape):
        usable, reason = scan_triton.load_triton()
        if not usable:
            pytest.skip(reason)
        inputs = [tensor.detach().cuda().requires_grad_() for tensor in make(*shape, dtype=torch.float32)]
        y, gradients = value_and_gradients(partial(selective_scan, backend="triton"), inputs)
        y_torch, expected = value_and_gradients(partial(selective_scan, backend="torch"), inputs)
        torch.testing.assert_close(y, y_torch, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(gradients, expected):
            assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()
        again = value_and_gradients(partial(selective_scan, backend="triton"), inputs)[1]
        assert all(torch.equal(first, second) for first, second in zip(gradients, again))
