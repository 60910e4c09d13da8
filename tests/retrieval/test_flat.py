"""Exact search: order of equal distances, and both search methods of FAISS."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avhash_nas.metrics import hamming_distances
from avhash_nas.retrieval import flat
from avhash_nas.retrieval.index_kind import NumberedCodes, threads_for

faiss = pytest.importorskip("faiss")


@given(
    packed=st.lists(st.integers(0, 15), min_size=1, max_size=60),
    queries=st.lists(st.integers(0, 15), min_size=1, max_size=5),
    width=st.sampled_from([1, 2, 3, 8, 16, 33]),
    data=st.data(),
)
@pytest.mark.parametrize("memory", [1, 5000, 2**28])
def test_equal_distances_are_ordered_by_number(memory, packed, queries, width, data):
    """The cutoff follows the same order; 33 bytes exceed 255 bits."""
    top = data.draw(st.integers(1, len(packed)))
    codes, asked = (np.repeat(np.array(each, np.uint8)[:, None], width, axis=1) for each in (packed, queries))
    numbers = 7 + 3 * np.arange(len(codes))
    distances = hamming_distances(torch.tensor(asked), torch.tensor(codes)).numpy()
    order = np.argsort(distances, axis=1, kind="stable")[:, :top]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "_MEMORY", memory)
        found = flat.exact_search(NumberedCodes(codes, numbers), asked, top)
    np.testing.assert_array_equal(found[0], np.take_along_axis(distances, order, 1))
    np.testing.assert_array_equal(found[1], numbers[order])


def test_single_query_uses_one_thread():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        with threads_for(1):
            assert faiss.omp_get_max_threads() == 1
        assert faiss.omp_get_max_threads() == 2
        with threads_for(5):
            assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
