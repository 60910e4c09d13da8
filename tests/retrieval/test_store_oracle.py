"""Every kind of store against a list that is searched code by code, through any sequence of changes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avhash_nas.retrieval import create_store, open_store
from reference.retrieval_store import ListStore
from retrieval.backends import KINDS, Places, codes_of

pytest.importorskip("faiss")

BITS = (1, 8, 13, 64, 71)
NAMES = st.integers(0, 12).map("v{}".format)


@st.composite
def changes(draw):
    """A code length, the codes of a new store, and what happens to it then."""
    bits = draw(st.sampled_from(BITS))
    few = draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=4))  # of which most codes are copies
    code = st.one_of(st.sampled_from(few), st.integers(0, 2**bits - 1))
    some = st.dictionaries(NAMES, code, min_size=1, max_size=12)
    steps = st.one_of(
        st.tuples(st.just("add"), some),
        st.tuples(st.just("remove"), st.lists(NAMES, max_size=13)),
        st.tuples(st.just("rebuild"), st.none()),
        st.tuples(st.just("search"), st.tuples(st.lists(code, min_size=1, max_size=3), st.integers(1, 20))),
    )
    return bits, draw(some), draw(st.lists(steps, max_size=8))


def packed(codes, bits):
    """Integers as packed codes, most significant bit first."""
    table = [[code >> (bits - 1 - place) & 1 for place in range(bits)] for code in codes]
    return np.packbits(np.array(table, np.uint8).reshape(len(codes), bits), axis=1)


def code_set(codes, bits):
    return codes_of(
        list(codes), packed(codes.values(), bits), bits=bits, values=None, frames=None, labels=None, class_names=()
    )


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=25)
@given(case=changes())
def test_answers_are_those_of_a_list(name, case):
    with tempfile.TemporaryDirectory() as folder:
        check(Places(name, Path(folder)), *case)


def test_answers_are_those_of_a_list_through_a_fixed_sequence(places):
    first = {"v1": 5, "v0": 5, "v3": 4, "v4": 250}
    steps = [
        ("search", ([5, 250], 2)),
        ("add", {"v0": 4, "v7": 5, "v8": 5}),
        ("search", ([5, 4, 0], 4)),
        ("rebuild", None),
        ("remove", ["v1", "v1", "nobody", "v4"]),
        ("search", ([250, 5], 1)),
        ("remove", ["v0", "v3", "v7", "v8"]),
        ("add", {"v1": 250}),
    ]
    check(places, 8, first, steps)


def check(places, bits, first, steps):
    where, kind = places.new(), places.kind
    oracle, store = ListStore(first), create_store(where, code_set(first, bits), kind)
    for step, what in [*steps, ("search", ([*first.values()][:2], 20))]:
        if step == "add":
            oracle.add(what)
            store.add(code_set(what, bits), replace=True)
        elif step == "remove":
            assert store.remove(what) == oracle.remove(dict.fromkeys(what))
        elif step == "rebuild" and len(store):
            store = create_store(where, store.fetch(list(oracle.codes)), kind, replace=True)
        elif step == "search":
            queries, top = what
            for opened in (store, open_store(where)):
                found = opened.search(packed(queries, bits), top)
                for row, query in enumerate(queries):
                    assert_answers(places, found.of(row), oracle, query, top)
        assert len(store) == len(oracle.codes)
        assert sorted(store.first_ids(99)) == sorted(oracle.codes)


def assert_answers(places, found, oracle, query, top):
    """Those of the list, in its order. An approximate index may choose among the codes as far as the last answer."""
    expected = oracle.search(query, top)
    if places.name in ("flat", "mih", "postgres-flat"):
        assert found == expected
        return
    last = expected[-1][1] if expected else 0
    order = [pair for pair in oracle.search(query, len(oracle.codes)) if pair in found]
    if places.ordered_by_id:
        order.sort(key=lambda pair: (pair[1], pair[0]))
    assert found == order
    assert [distance for _, distance in found] == [distance for _, distance in expected]
    assert {pair for pair in found if pair[1] < last} == {pair for pair in expected if pair[1] < last}
