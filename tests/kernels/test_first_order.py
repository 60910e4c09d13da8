"""Second derivatives of the scan raise an error instead of being silently zero."""

import pytest
import torch

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import SecondDerivativeError, selective_scan
from reference.kernels_selective_scan import make


def test_second_derivative_raises_below_a_constant_gradient():
    inputs = make()
    for gradient in torch.autograd.grad(selective_scan(*inputs).sum(), inputs, create_graph=True):
        with pytest.raises(SecondDerivativeError, match="selective_scan has no second derivative"):
            gradient.sum().backward(retain_graph=True)


def test_second_derivative_raises_below_a_varying_gradient():
    inputs = make()
    gradients = torch.autograd.grad(selective_scan(*inputs).pow(2).sum(), inputs, create_graph=True)
    with pytest.raises(SecondDerivativeError):
        torch.autograd.grad(gradients[0].sum(), inputs[2])


def test_second_derivative_raises_inside_a_sum():
    inputs = make()
    y = selective_scan(*inputs).sum()
    (gradient,) = torch.autograd.grad(y, inputs[0], create_graph=True)
    with pytest.raises(SecondDerivativeError):
        (y + gradient.pow(2).sum()).backward()


def test_create_graph_alone_is_allowed():
    inputs = make()
    expected = torch.autograd.grad(selective_scan(*inputs).sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad(selective_scan(*inputs).sum(), inputs, create_graph=True), expected)


def test_torch_func_supports_only_the_first_derivative():
    x, *rest = (tensor.detach() for tensor in make())

    def loss(x):
        return selective_scan(x, *rest).pow(2).sum()

    x_leaf = x.clone().requires_grad_()
    torch.testing.assert_close(torch.func.grad(loss)(x), torch.autograd.grad(loss(x_leaf), x_leaf)[0])
    with pytest.raises(SecondDerivativeError):
        torch.func.grad(lambda x: torch.func.grad(loss)(x).sum())(x)


def test_error_is_an_avnas_error():
    assert issubclass(SecondDerivativeError, AvnasError)
    assert issubclass(SecondDerivativeError, RuntimeError)
