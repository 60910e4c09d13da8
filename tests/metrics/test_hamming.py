import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import hamming_distances, pack
from avhash_nas.metrics.hamming import popcount_by_masks
from reference.metrics_retrieval import hamming


@given(
    seed=st.integers(0, 2**20),
    bits=st.sampled_from([1, 8, 31, 64, 65, 130, 300]),
    memory=st.sampled_from([1, 200, 2**20]),
)
def test_distances_count_differing_bits(seed, bits, memory):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randint(0, 2, (rows, bits), generator=generator).bool() for rows in (5, 7))
    found = hamming_distances(pack(a), pack(b), memory=memory)
    assert found.tolist() == [[hamming(x, y) for y in b.int().tolist()] for x in a.int().tolist()]
    assert found.dtype == (torch.uint8 if bits <= 248 else torch.int32)


def test_opposite_codes_of_31_and_32_bytes_do_not_overflow():
    for width in (31, 32):
        codes = torch.tensor([[0] * width, [255] * width], dtype=torch.uint8)
        assert hamming_distances(codes, codes).tolist() == [[0, 8 * width], [8 * width, 0]]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_popcount_by_masks(words):
    assert popcount_by_masks(np.array(words, np.uint64)).tolist() == [word.bit_count() for word in words]


def test_unpacked_or_mismatched_codes_are_rejected():
    packed = torch.zeros(2, 4, dtype=torch.uint8)
    with pytest.raises(AvnasError, match=r"b: expected packed codes.*got torch.float32"):
        hamming_distances(packed, torch.zeros(2, 4))
    with pytest.raises(AvnasError, match="4 bytes against 5"):
        hamming_distances(packed, torch.zeros(2, 5, dtype=torch.uint8))
