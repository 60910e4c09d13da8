"""Multi-index hashing: the answers of a scan, whatever the codes, and a scan where the tables would take longer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.kernels.mih_native import native_mih
from avhash_nas.retrieval import MIH, create_store, open_store
from avhash_nas.retrieval.index_kind import NumberedCodes
from avhash_nas.retrieval.mih import as_words, substring_lengths
from reference import retrieval_mih as oracle
from retrieval.backends import codes_of

compiled = pytest.mark.skipif(native_mih() is None, reason="needs a C++ compiler")


def clustered(random, count, width, centers, flip):
    """Codes around few centers, so that many are equal or tie."""
    codes = random.integers(0, 256, (centers, width), np.uint8)[random.integers(0, centers, count)]
    return codes ^ np.packbits(random.random((count, 8 * width)) < flip, axis=1)


def by_sorting(packed, queries, k):
    """Distances and rows by distance, then row."""
    differences = np.bitwise_count(queries[:, None] ^ packed[None]).sum(2, dtype=np.int32)
    rows = np.argsort(differences, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(differences, rows, 1), rows


SEARCHES = given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 600),
    width=st.sampled_from([2, 3, 5, 8, 9, 16, 20, 24, 32]),
    centers=st.integers(1, 40),
    flip=st.sampled_from([0.0, 0.02, 0.2, 0.5]),
    k=st.integers(1, 700),
    substring=st.sampled_from([None, 3, 8, 13]),
)


@compiled
@pytest.mark.parametrize("always_tables", [False, True], ids=["as chosen", "tables only"])
@settings(deadline=None, max_examples=60)
@SEARCHES
def test_answers_are_those_of_sorting_all_distances(always_tables, seed, count, width, centers, flip, k, substring):
    random = np.random.default_rng(seed)
    everything = clustered(random, count + 3, width, centers, flip)
    packed, queries, k = everything[:count], everything[count:], min(k, count)
    library = native_mih()
    if always_tables:  # tables alone grow their radius until k are complete: keep that short
        k, packed = min(k, 5), packed[:, :3]
        queries = queries[:, :3]
    lengths = substring_lengths(8 * packed.shape[1], count, substring)
    tables = library.build(as_words(packed), lengths)
    result = library.search(tables, as_words(queries), k, always_tables=always_tables)
    distances, rows = by_sorting(packed, queries, k)
    assert result.distances.tolist() == distances.tolist()
    assert result.rows.tolist() == rows.tolist()
    assert np.array_equal(tables.words(), as_words(packed))
    if always_tables:
        assert not result.work[:, 2].any()


@compiled
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 40), substring=st.integers(2, 6))
def test_tables_find_what_the_loops_of_the_paper_find(seed, k, substring):
    random = np.random.default_rng(seed)
    packed = clustered(random, 60, 2, 5, 0.1)
    query = random.integers(0, 256, (1, 2), np.uint8)
    lengths = substring_lengths(16, 60, substring)
    library = native_mih()
    result = library.search(library.build(as_words(packed), lengths), as_words(query), k, always_tables=True)
    words = [int(word) for word in as_words(packed)[:, 0]]
    expected = oracle.nearest(words, int(as_words(query)[0, 0]), k, lengths)
    assert list(zip(result.distances[0].tolist(), result.rows[0].tolist(), strict=True)) == expected


@compiled
def test_near_codes_are_found_in_a_few_buckets_and_far_ones_by_a_scan():
    random = np.random.default_rng(0)
    packed = random.integers(0, 256, (50_000, 8), np.uint8)
    queries = np.concatenate([packed[:1], random.integers(0, 256, (1, 8), np.uint8)])
    library = native_mih()
    tables = library.build(as_words(packed), substring_lengths(64, len(packed)))
    near, far = library.search(tables, as_words(queries), 1).work.tolist()
    assert near[0] == 1
    assert near[2] == 0
    many = library.search(tables, as_words(queries), 20_000).work[:, 2]
    assert many.tolist() == [50_000, 50_000]
    assert far[1] < 50_000 / 2  # its budget, in codes compared


def test_a_store_is_searched_in_its_mapped_tables(tmp_path):
    random = np.random.default_rng(1)
    packed = clustered(random, 300, 8, 10, 0.1)
    names = [f"video {number}" for number in range(300)]
    create_store(str(tmp_path / "codes"), codes_of(names, packed, bits=64), MIH())
    store = open_store(str(tmp_path / "codes"))
    found = store.search(packed[:7], 20)
    distances, rows = by_sorting(packed, packed[:7], 20)
    assert found.distances.tolist() == distances.tolist()
    assert found.ids.tolist() == [[names[row] for row in each] for each in rows]
    index = store._index
    assert index is None or not index.codes.flags.owndata


def test_without_a_compiler_it_is_an_exact_scan(monkeypatch):
    monkeypatch.setattr("avhash_nas.retrieval.mih.native_mih", lambda: None)
    packed = clustered(np.random.default_rng(2), 100, 4, 5, 0.1)
    codes = NumberedCodes(packed, np.arange(100))
    kind = MIH()
    index = kind.build(codes)
    assert index is None
    assert kind.to_arrays(index) == {}
    distances, numbers = kind.search(index, codes, packed[:3], 9)
    expected, rows = by_sorting(packed, packed[:3], 9)
    assert distances.tolist() == expected.tolist()
    assert numbers.tolist() == rows.tolist()


@pytest.mark.parametrize("substring", [0, 29])
def test_substring_out_of_range(substring):
    with pytest.raises(AvnasError, match=f"mih: substring must be from 1 to 28 bits, got {substring}"):
        MIH(substring)


def test_codes_of_too_many_bits():
    codes = NumberedCodes(np.zeros((2, 33), np.uint8), np.arange(2))
    with pytest.raises(AvnasError, match="mih: codes of more than 256 bits are not supported"):
        MIH().build(codes)


@pytest.mark.parametrize(("bits", "codes"), [(16, 10), (64, 10**7), (64, 10**8), (40, 1000), (256, 10**6)])
def test_substrings_share_the_bits_evenly(bits, codes):
    lengths = substring_lengths(bits, codes)
    assert sum(lengths) == bits
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 24
