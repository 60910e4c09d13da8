"""Requirements on every exported operator."""

import copy
import inspect

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from avhash_nas import operators
from avhash_nas.kernels import SecondDerivativeError
from avhash_nas.operators import Operator, find_operator, operator_names

SIZES = {"width": 12, "model_width": 12, "hidden": 48, "expand": 2, "heads": 3, "states": 4, "rank": 2, "dropout": 0.1}
KINDS = "MUDIFTS"
CASES = [(kind, name) for kind in KINDS for name in operator_names(kind)]

CANDIDATES = {
    "M": {"skip", "self_attention", "self_ssm", "conv3", "conv4", "conv5", "mlp", "ffn", "channel_time_gate"},
    "U": {"skip", "silu", "layer_norm"},
    "D": {"add", "hadamard"},
    "I": {"cross_attention", "cross_ssm", "aligned_cross_ssm", "hybrid_attention", "weighted_exchange"},
    "F": {"add", "gated_attention"},
    "T": {"self_attention", "self_ssm"},
    "S": {"self_attention", "self_ssm"},
}


def build(kind, name):
    torch.manual_seed(0)
    operator = find_operator(kind, name)
    return operator(**{key: SIZES[key] for key in inspect.signature(operator).parameters if key in SIZES})


def sequences(kind, batch=2, steps=5, **options):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, steps, 12, generator=generator, **options) for _ in range(2 if kind in "DIF" else 1)]


def test_candidates_match_table_1():
    assert {kind: set(operator_names(kind)) for kind in KINDS} == CANDIDATES


def test_constructors_take_only_known_keywords():
    for kind, name in CASES:
        for key, parameter in inspect.signature(find_operator(kind, name)).parameters.items():
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert key in SIZES or parameter.default is not inspect.Parameter.empty, (kind, name, key)


def test_every_exported_operator_can_be_found():
    exported = {getattr(operators, symbol) for symbol in operators.__all__}
    classes = {item for item in exported if isinstance(item, type) and item is not Operator}
    assert {find_operator(kind, name) for kind, name in CASES} == classes


@pytest.mark.parametrize(("kind", "name"), CASES)
class TestEvery:
    @pytest.mark.parametrize(("batch", "steps"), [(2, 5), (1, 1), (3, 25), (0, 5)])
    def test_output_shape_and_finiteness(self, kind, name, batch, steps):
        inputs = sequences(kind, batch, steps)
        z = build(kind, name)(*inputs)
        assert z.shape == inputs[0].shape
        assert z.dtype == torch.float32
        assert torch.isfinite(z).all()

    def test_all_inputs_and_parameters_get_gradients(self, kind, name):
        operator, inputs = build(kind, name), sequences(kind, requires_grad=True)
        operator(*inputs).pow(2).sum().backward()
        for tensor in [*inputs, *operator.parameters()]:
            assert tensor.grad is not None
            assert torch.isfinite(tensor.grad).all()
            assert tensor.grad.any()

    def test_empty_batch_gives_zero_gradients(self, kind, name):
        operator = build(kind, name)
        operator(*sequences(kind, batch=0, requires_grad=True)).sum().backward()
        assert all(not parameter.grad.any() for parameter in operator.parameters())

    def test_evaluation_is_deterministic_and_videos_are_independent(self, kind, name):
        operator, inputs = build(kind, name).eval(), sequences(kind, batch=4)
        z = operator(*inputs)
        assert torch.equal(operator(*inputs), z)
        torch.testing.assert_close(operator(*(tensor[1:3] for tensor in inputs)), z[1:3])

    def test_inputs_are_not_modified(self, kind, name):
        inputs = sequences(kind)
        before = [tensor.clone() for tensor in inputs]
        build(kind, name)(*inputs)
        assert all(torch.equal(tensor, kept) for tensor, kept in zip(inputs, before))

    def test_strided_inputs(self, kind, name):
        operator, inputs = build(kind, name).eval(), sequences(kind)
        strided = [tensor.permute(2, 0, 1).contiguous().permute(1, 2, 0) for tensor in inputs]
        torch.testing.assert_close(operator(*strided), operator(*inputs))

    def test_copies_and_functional_calls_agree(self, kind, name):
        operator, inputs = build(kind, name).eval(), sequences(kind)
        z = operator(*inputs)
        assert torch.equal(copy.deepcopy(operator)(*inputs), z)
        parameters = {key: value.detach().clone() for key, value in operator.named_parameters()}
        assert torch.equal(torch.func.functional_call(operator, parameters, tuple(inputs)), z)

    def test_checkpointing_keeps_gradients(self, kind, name):
        operator, inputs = build(kind, name).eval(), sequences(kind, requires_grad=True)
        wanted = torch.autograd.grad(operator(*inputs).pow(2).sum(), [*inputs, *operator.parameters()])
        z = checkpoint(operator, *inputs, use_reentrant=False)
        torch.testing.assert_close(torch.autograd.grad(z.pow(2).sum(), [*inputs, *operator.parameters()]), wanted)

    def test_runs_under_autocast(self, kind, name):
        operator, inputs = build(kind, name).eval(), sequences(kind, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            z = operator(*inputs)
        torch.testing.assert_close(z.float(), operator(*inputs), rtol=0.1, atol=0.1)
        z.float().sum().backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in operator.parameters())

    def test_time_order(self, kind, name):
        """Convolutions and forward scans are causal; attention and bidirectional scans are not."""
        operator, inputs = build(kind, name).eval(), sequences(kind, steps=6)
        later = [tensor.clone() for tensor in inputs]
        for tensor in later:
            tensor[:, 4:] = tensor[:, 4:].flip(-1)
        unchanged = torch.allclose(operator(*inputs)[:, :4], operator(*later)[:, :4], atol=1e-6)
        assert unchanged == (kind not in "IS" and name not in ("self_attention", "channel_time_gate"))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in CASES if "ssm" in name])
def test_second_derivative_through_a_scan_raises(kind, name):
    operator, inputs = build(kind, name), sequences(kind, requires_grad=True)
    gradients = torch.autograd.grad(operator(*inputs).sum(), list(operator.parameters()), create_graph=True)
    with pytest.raises(SecondDerivativeError):
        sum(gradient.pow(2).sum() for gradient in gradients).backward()
