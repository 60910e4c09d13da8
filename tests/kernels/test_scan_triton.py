"""The Triton kernels in Triton's interpreter, in a subprocess, as it must be selected before importing triton."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reference.kernels_selective_scan import make, selective_scan, selective_scan_by_steps, value_and_gradients

pytestmark = [
    pytest.mark.triton,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="triton is not installed: pip install triton"
    ),
]

CASES = {
    "one of all": (1, 1, 1, 1),
    "small": (2, 5, 3, 2),
    "a block of channels": (1, 3, 32, 16),
    "two blocks, more states than a warp takes": (2, 4, 33, 17),
    "many states": (1, 2, 3, 64),
    "many steps": (3, 11, 2, 3),
}

RUN = """
import sys, torch
from functools import partial
from avhash_nas.kernels import SecondDerivativeError, scan_triton, selective_scan
from torch.utils.checkpoint import checkpoint
scan = partial(selective_scan, backend="triton")

def gradients(inputs, function=scan):
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    y = function(*inputs)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), inputs)]

given = torch.load(sys.argv[1])
computed = {name: gradients(inputs) for name, inputs in given.items()}
inputs = given["many steps"]
spread = [torch.stack([tensor, tensor], -1)[..., 0] for tensor in inputs]
assert not any(tensor.is_contiguous() for tensor in spread)
computed["strided"] = gradients(spread)
computed["checkpointing"] = gradients(inputs, lambda *inputs: checkpoint(scan, *inputs, use_reentrant=False))
with torch.autocast("cpu", torch.bfloat16):
    computed["autocast"] = gradients(inputs)
for dtype in (torch.float16, torch.bfloat16):
    computed[f"{dtype}"] = gradients([tensor.to(dtype) for tensor in inputs])
    narrow = [tensor.to(dtype) for tensor in inputs[:5]]
    computed[f"{dtype} within"] = [scan_triton.scan_triton(*narrow)]
scan_triton._SEGMENT, scan_triton._WORK_SPACE = 4, 1
computed["segments, one video at a time"] = gradients(inputs)
torch.save(computed, sys.argv[2])

torch.library.opcheck(torch.ops.avhash_nas.selective_scan_triton.default, inputs[:5])
backward = torch.ops.avhash_nas.selective_scan_triton_backward.default
torch.library.opcheck(backward, [inputs[0], *inputs[:5]])
wanted = [tensor.detach().requires_grad_() for tensor in inputs]
(gradient,) = torch.autograd.grad(scan(*wanted).sum(), wanted[0], create_graph=True)
try:
    gradient.sum().backward()
except SecondDerivativeError:
    print("refused")
"""

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from avhash_nas.kernels import scan_triton, scan_triton_kernels
for states in (16, 64):
    tile = scan_triton._tile(states)
    for kernel in (scan_triton_kernels.forward, scan_triton_kernels.backward):
        sizes = {"steps", "width", "states", "segment", "segments"}
        types = {name: "i32" if name in sizes else "*fp32" for name in kernel.arg_names}
        types.update(dict.fromkeys(("BLOCK_N", "BLOCK_E"), "constexpr"))
        source = ASTSource(kernel, signature=types, constexprs={"BLOCK_N": tile["BLOCK_N"], "BLOCK_E": tile["BLOCK_E"]})
        options = {"num_warps": tile["num_warps"], "num_stages": tile["num_stages"]}
        made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options)
        print(len(made.asm["cubin"]) > 0)
"""


def run(code, *arguments, **environment):
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def given():
    return {name: [tensor.detach() for tensor in make(*shape, dtype=torch.float32)] for name, shape in CASES.items()}


@pytest.fixture(scope="module")
def computed(given, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("triton")
    torch.save(given, folder / "given.pt")
    said = run(RUN, str(folder / "given.pt"), str(folder / "computed.pt"), TRITON_INTERPRET="1")
    return {"second derivative": said, **torch.load(folder / "computed.pt")}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_match_the_recurrence(name, given, computed):
    oracle = selective_scan if given[name][2].numel() < 10 else selective_scan_by_steps
    exact = [tensor.double().requires_grad_() for tensor in given[name]]
    y, gradients = value_and_gradients(oracle, exact)
    ours, *our_gradients = computed[name]
    torch.testing.assert_close(ours.double(), y, rtol=1e-5, atol=1e-5)
    for mine, wanted in zip(our_gradients, gradients, strict=True):
        assert (mine.double() - wanted).abs().max() <= 1e-6 * (1 + wanted.abs().max())


@pytest.mark.parametrize("name", ["strided", "checkpointing", "autocast", "segments, one video at a time"])
def test_block_sizes_do_not_change_the_result(name, computed):
    torch.testing.assert_close(computed[name], computed["many steps"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_states_are_float32(dtype, given, computed):
    inputs = [tensor.to(dtype).float() for tensor in given["many steps"]]
    y, *gradients = computed[str(dtype)]
    assert all(tensor.dtype == dtype for tensor in (y, *gradients))
    assert torch.equal(y, selective_scan_by_steps(*inputs).to(dtype))
    without_d = selective_scan_by_steps(*inputs[:5])
    torch.testing.assert_close(computed[f"{dtype} within"][0].float(), without_d, rtol=2**-7, atol=1e-3)


def test_second_derivative_raises(computed):
    assert computed["second derivative"] == "refused\n"


def test_kernels_compile_for_a_gpu():
    """Triton needs no GPU to compile for one."""
    assert run(COMPILE, TRITON_INTERPRET="0") == "True\n" * 4
