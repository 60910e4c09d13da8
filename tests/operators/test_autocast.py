"""Every operator under autocast to bfloat16 matches float32 within bfloat16's 8 bits."""

import pytest
import torch

from avhash_nas.networks.mixed_cell import build_operator
from avhash_nas.space import load_space

SIZES = {"width": 16, "model_width": 16, "hidden": 32, "expand": 2, "heads": 2, "states": 4, "rank": 2, "dropout": 0.0}
OPERATORS = sorted({(cell.kind, name) for cell in load_space("full").cells for name in cell.candidates})


def value_and_gradients(operator, inputs, enabled):
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        y = operator(*inputs)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    return [y.float(), *torch.autograd.grad((y.float() * weight).sum(), inputs)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kind", "name"), OPERATORS)
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # RMSNorm takes its slower form
def test_values_and_gradients(kind, name, dtype):
    torch.manual_seed(0)
    operator = build_operator(kind, name, SIZES)
    inputs = [torch.randn(3, 10, 16).to(dtype).requires_grad_() for _ in range(2 if kind in "DIF" else 1)]
    exact = value_and_gradients(operator, [each.detach().float().requires_grad_() for each in inputs], False)
    for ours, wanted in zip(value_and_gradients(operator, inputs, True), exact, strict=True):
        assert (ours.float() - wanted).norm() <= 2**-5 * wanted.norm()
