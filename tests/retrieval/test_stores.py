"""The contract of CodeStore, for all kinds of FAISS and for Milvus."""

import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avhash_nas.errors import AvnasError
from avhash_nas.metrics import hamming_distances
from avhash_nas.retrieval import create_store, open_store
from retrieval.backends import codes_of

NAMES = [
    "a",
    "ü b/ç",
    "it's",
    'say "x"',
    "back\\slash",
    "50%",
    "c d",
    "日本",
    "x" * 300,
    "e",
    "f",
    b"not \xff UTF-8".decode("utf-8", "surrogateescape"),
]


def assert_same(one, other):
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name))
            assert value.dtype.kind == getattr(other, name).dtype.kind
        else:
            assert value == getattr(other, name), name


def distances(queries, packed):
    return hamming_distances(torch.tensor(queries), torch.tensor(packed)).numpy().astype(int)


def assert_nearest(found, queries, codes, top, exact):
    """Answers are distinct, with correct ascending distances, and the nearest if the search is exact."""
    wanted = distances(queries, codes.packed)
    row_of = {video: row for row, video in enumerate(codes.ids.tolist())}
    assert found.ids.shape == found.distances.shape == (len(queries), min(top, len(codes)))
    for query in range(len(queries)):
        ids = found.ids[query].tolist()
        assert len(set(ids)) == len(ids)
        own = [wanted[query, row_of[video]] for video in ids]
        assert own == found.distances[query].tolist() == sorted(own)
        if exact:
            assert own == sorted(wanted[query])[: len(own)]


@pytest.mark.parametrize("bits", [12, 64])
def test_search_finds_the_nearest(places, bits):
    codes = codes_of([f"v{number}" for number in range(200)], bits=bits)
    store = create_store(places.new(), codes, places.kind)
    queries = codes_of([f"q{number}" for number in range(7)], bits=bits, seed=1).packed
    for top in (1, 10, 200, 1000):
        assert_nearest(store.search(queries, top), queries, codes, top, places.exact)
        assert_nearest(store.search(queries[:1], top), queries[:1], codes, top, places.exact)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    packed=st.lists(st.integers(0, 255), min_size=1, max_size=40),
    queries=st.lists(st.integers(0, 255), min_size=1, max_size=3),
    top=st.integers(1, 50),
)
def test_search_on_random_codes(files, packed, queries, top):
    """Includes equal codes, single codes, and `top` above the number of codes."""
    check_any_codes(files, packed, queries, top)


@pytest.mark.parametrize("packed", [[7], [5] * 20, [*range(0, 200, 9), *[3] * 15]])
def test_search_on_special_codes(places, packed):
    check_any_codes(places, packed, [0, 255], 18)


def check_any_codes(places, packed, queries, top):
    codes = codes_of([f"v{row}" for row in range(len(packed))], packed, bits=8)
    store = create_store(places.new(), codes, places.kind)
    queries = np.array(queries, np.uint8)[:, None]
    assert_nearest(store.search(queries, top), queries, codes, top, places.exact)


def test_search_is_deterministic(places):
    codes = codes_of([f"v{number}" for number in range(100)], spread=2)
    where = places.new()
    store = create_store(where, codes, places.kind)
    found = store.search(codes.packed[:5], 20)
    for again in (store, open_store(where)):
        np.testing.assert_array_equal(again.search(codes.packed[:5], 20).ids, found.ids)


def test_fetch_returns_all_stored_parts(places):
    codes = codes_of(NAMES)
    where = places.new()
    create_store(where, codes, places.kind)
    store = open_store(where)
    assert (len(store), store.bits, store.fingerprint) == (len(NAMES), 12, codes.fingerprint)
    assert (store.class_names, store.extraction) == (codes.class_names, {"steps": 25})
    assert sorted(store.first_ids()) == sorted(NAMES)
    assert len(store.first_ids(3)) == 3
    order = [7, 2, 8, 0]
    assert_same(store.fetch([NAMES[row] for row in order]), codes.take(order))
    part = store.fetch(["it's"], values=False, frames=False)
    assert part.values is None
    assert part.frames is None
    assert "it's" in store
    assert "its" not in store
    assert "x" * 301 not in store
    with pytest.raises(AvnasError, match="holds no video 'nobody'"):
        store.fetch(["a", "nobody"])


def test_codes_without_other_parts(places):
    codes = codes_of(NAMES, values=None, frames=None, labels=None, class_names=(), extraction=None)
    store = create_store(places.new(), codes, places.kind)
    assert_same(store.fetch(NAMES), codes)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["add", "replace", "remove"]), st.sets(st.integers(0, 9), min_size=1), st.integers(0, 5)),
    max_size=8,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_random_operations_match_a_dict(files, operations):
    check_operations(files, operations)


def test_fixed_operations_match_a_dict(places):
    operations = [("add", {5, 6}), ("add", {6, 7}), ("replace", {6, 7, 1}), ("remove", {0, 9, 7}), ("add", {7})]
    operations += [("remove", set(range(10))), ("add", {2, 3})]
    check_operations(places, [(*operation, seed) for seed, operation in enumerate(operations)])


def check_operations(places, operations):
    """Compares ids, stored parts and search results with a dict."""
    model = {f"v{number}": codes_of([f"v{number}"], seed=number) for number in range(5)}
    where = places.new()
    store = create_store(where, joined(model), places.kind)
    for operation, numbers, seed in operations:
        names = [f"v{number}" for number in sorted(numbers)]
        new = codes_of(names, seed=100 + seed)
        if operation == "remove":
            assert store.remove(names) == len(set(names) & set(model))
            model = {name: kept for name, kept in model.items() if name not in names}
        elif operation == "add" and set(names) & set(model):
            with pytest.raises(AvnasError, match=r"video v\d is there already; --replace"):
                store.add(new)
        else:
            store.add(new, replace=operation == "replace")
            model = {name: kept for name, kept in model.items() if name not in names}
            model |= {name: new.take([row]) for row, name in enumerate(names)}
        assert len(store) == len(model)
        assert sorted(store.first_ids()) == sorted(model)
        for opened in (store, open_store(where)):
            if model:
                assert_same(opened.fetch(list(model)), joined(model))
                assert_nearest(opened.search(new.packed, 4), new.packed, joined(model), 4, places.exact)
            else:
                assert opened.search(new.packed, 4).ids.shape == (len(new), 0)


def joined(model):
    """Concatenates a dict of code sets."""
    sets = list(model.values())
    parts = {name: np.concatenate([getattr(each, name) for each in sets]) for name in ("packed", "values", "frames")}
    return codes_of(list(model), labels=np.concatenate([each.labels for each in sets]), **parts)


def test_new_classes_are_appended(places):
    store = create_store(
        places.new(), codes_of(["a", "b"], labels=np.eye(2, dtype=bool), class_names=("cat", "dog")), places.kind
    )
    store.add(codes_of(["c"], labels=np.array([[True, True]]), class_names=("cow", "cat")))
    store.add(codes_of(["d"], labels=None, class_names=()))
    assert store.class_names == ("cat", "dog", "cow")
    wanted = [[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(store.fetch(["a", "b", "c", "d"]).labels, np.array(wanted, bool))


def test_labels_can_be_added_later(places):
    store = create_store(places.new(), codes_of(["a"], labels=None, class_names=()), places.kind)
    assert store.fetch(["a"]).labels is None
    store.add(codes_of(["b"], labels=np.array([[True]]), class_names=("cat",)))
    np.testing.assert_array_equal(store.fetch(["a", "b"]).labels, [[False], [True]])


def test_incompatible_codes_are_rejected(places):
    where = places.new()
    store = create_store(where, codes_of(["a", "b", "c"]), places.kind)
    here = re.escape(store.where)
    with pytest.raises(AvnasError, match=f"network ffff; {here} holds codes of network 0123456789abcdef"):
        store.add(codes_of(["d"], fingerprint="ffff"))
    with pytest.raises(AvnasError, match=f"codes of 16 bits; {here} holds codes of 12 bits"):
        store.add(codes_of(["d"], bits=16))
    with pytest.raises(AvnasError, match=r"keeps values of shape \(12,\) for each video; the new codes have no values"):
        store.add(codes_of(["d"], values=None))
    with pytest.raises(AvnasError, match=r"keeps frames of shape \(3, 5\).*have frames of shape \(2, 5\)"):
        store.add(codes_of(["d"], frames=np.zeros((1, 2, 5), np.float16)))
    with pytest.raises(AvnasError, match="holds codes of 12 bits, 2 bytes each"):
        store.search(np.zeros((1, 3), np.uint8), 1)
    with pytest.raises(AvnasError, match="top must be at least 1"):
        store.search(np.zeros((1, 2), np.uint8), 0)
    assert open_store(where).first_ids() == ["a", "b", "c"]


def test_parts_that_are_not_stored_are_dropped(places):
    store = create_store(places.new(), codes_of(["a", "b", "c"], values=None, frames=None), places.kind)
    store.add(codes_of(["d"]))
    assert store.fetch(["d"]).values is None


def test_existing_index_is_replaced_only_on_request(places):
    where = places.new()
    create_store(where, codes_of(["a", "b", "c"]), places.kind)
    with pytest.raises(AvnasError, match="there is an index already"):
        create_store(where, codes_of(["d"], fingerprint="ffff"))
    assert len(open_store(where)) == 3
    create_store(where, codes_of(["d"], fingerprint="ffff"), replace=True)
    assert (open_store(where).first_ids(), open_store(where).fingerprint) == (["d"], "ffff")


def test_missing_index_is_reported(places):
    with pytest.raises(AvnasError, match="no such index; `avnas index build` makes one"):
        open_store(places.new())
    with pytest.raises(AvnasError, match="needs at least one code"):
        create_store(places.new(), codes_of([]))
