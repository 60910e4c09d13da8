import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.codes import halve
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import binarize, pack, unpack


def test_zeros_become_plus_one():
    assert binarize(torch.tensor([[0.0, -0.0, 1e-30, -1e-30]])).tolist() == [[1, 1, 1, -1]]


@given(seed=st.integers(0, 2**20), rows=st.integers(0, 4), bits=st.integers(1, 70))
def test_pack_matches_numpy_and_unpack_inverts_it(seed, rows, bits):
    values = torch.randn(rows, bits, generator=torch.Generator().manual_seed(seed))
    packed = pack(values)
    np.testing.assert_array_equal(packed.numpy(), np.packbits(values.numpy() >= 0, axis=1))
    assert torch.equal(unpack(packed, bits), binarize(values))


def test_values_signs_and_bools_pack_equally():
    values = torch.randn(5, 19).bfloat16()
    assert torch.equal(pack(values), pack(binarize(values)))
    assert torch.equal(pack(values), pack(values >= 0))


@given(seed=st.integers(0, 2**20), scale=st.sampled_from([1.0, 1e-4, 1e-7, 1e-8, 1e-30]))
def test_halve_preserves_signs(seed, scale):
    values = torch.randn(4, 9, generator=torch.Generator().manual_seed(seed)) * scale
    halves = halve(values)
    assert halves.dtype == torch.float16
    assert torch.equal(pack(halves), pack(values))
    assert torch.allclose(halves.float(), values, rtol=2**-11, atol=2**-24)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binarize(torch.tensor([[1.0], [float("nan")]])), "row 1 has nan"),
        (lambda: pack(torch.zeros(3)), r"shape \(n, q\), got \(3,\)"),
        (lambda: pack(torch.zeros(3, dtype=torch.bool)), r"shape \(n, q\), got \(3,\)"),
        (lambda: unpack(torch.zeros(2, 2, dtype=torch.uint8), 17), r"\(n, 3\) for 17 bits"),
        (lambda: unpack(torch.zeros(2, 2, dtype=torch.uint8), 8), r"\(n, 1\) for 8 bits"),
    ],
)
def test_invalid_codes_are_reported(call, message):
    with pytest.raises(AvnasError, match=message):
        call()
