"""PostgresStore: addresses and passwords without a server; stops, foreign tables and writers with one."""

import threading

import numpy as np
import pytest

from avhash_nas.errors import AvnasError
from avhash_nas.retrieval import HNSW, MIH, Flat, create_store, open_store
from avhash_nas.retrieval.postgres_server import shown, split_address
from retrieval.backends import codes_of


@pytest.mark.parametrize("table", ["1st", "a-b", "Big", "a;drop", "x" * 60])
def test_invalid_tables_are_rejected_without_the_password(table):
    with pytest.raises(AvnasError, match="a table's name has small letters") as caught:
        split_address(f"postgresql://me:secret@host/videos#{table}")
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown():
    for uri in ("postgresql://me:se:cret@host/db", "postgres://host/db?user=me&password=secret&sslmode=require"):
        assert "cret" not in shown(uri)
    assert shown("postgresql://host:5432/db") == "postgresql://host:5432/db"


@pytest.mark.services
class TestOnAServer:
    @pytest.fixture
    def where(self, postgres_server, tmp_path):
        name = "".join(letter for letter in tmp_path.name.lower() if letter.isalnum())[-30:]
        return f"{postgres_server.get_uri()}#t{name}"

    def test_a_stopped_add_or_build_changes_nothing(self, where):
        store = create_store(where, codes_of(list("abc")))

        def stop(done, of):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.add(codes_of(["d", "e"], class_names=tuple(f"new {n}" for n in range(10))), progress=stop)
        with pytest.raises(KeyboardInterrupt):
            create_store(where, codes_of(["x"], fingerprint="ffff"), replace=True, progress=stop)
        for opened in (store, open_store(where)):
            assert opened.first_ids() == ["a", "b", "c"]
            assert len(opened.search(codes_of(["q"]).packed, 9).ids[0]) == 3
        assert open_store(where).class_names == codes_of(["a"]).class_names
        store.add(codes_of(["d"]))
        assert store.first_ids() == ["a", "b", "c", "d"]

    def test_writers_take_turns(self, where):
        create_store(where, codes_of(["first"]))
        stores = [open_store(where) for _ in range(4)]
        sets = [
            codes_of([f"{n}-{row}" for row in range(20)], class_names=tuple(f"{n} {c}" for c in range(10)))
            for n in range(4)
        ]
        threads = [threading.Thread(target=store.add, args=(codes,)) for store, codes in zip(stores, sets, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store = open_store(where)
        assert len(store) == 81
        assert len(store.class_names) == 50
        for codes in sets:
            np.testing.assert_array_equal(store.fetch(codes.ids.tolist()).packed, codes.packed)

    def test_a_lost_connection_is_opened_again(self, where):
        store = create_store(where, codes_of(["a"]))
        with store._server.transaction() as connection:
            (own,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        with open_store(where)._server.transaction() as other:
            other.execute("SELECT pg_terminate_backend(%s)", (own,))
        with pytest.raises(AvnasError, match="postgresql://"):
            len(store)
        assert len(store) == 1

    def test_foreign_tables_are_not_touched(self, where):
        create_store(where, codes_of(["a"]))
        server, table = open_store(where)._server, where.partition("#")[2]
        with server.transaction() as connection:
            connection.execute(f"CREATE TABLE {table}_other (x int)")
        with pytest.raises(AvnasError, match="the table is not an index of this program"):
            create_store(f"{where}_other", codes_of(["a"]), replace=True)
        with server.transaction() as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}_other").fetchone() == (0,)

    def test_kinds(self, where):
        codes = codes_of([f"v{row}" for row in range(3000)], bits=64, spread=256, values=None, frames=None)
        wanted = create_store(where, codes, Flat()).search(codes.packed[:20], 1200)
        store = create_store(where, codes, HNSW(m=8), replace=True)
        found = store.search(codes.packed[:20], 10)
        assert (found.ids[:, 0] == codes.ids[:20]).all()
        assert (np.diff(found.distances, axis=1) >= 0).all()
        large = store.search(codes.packed[:20], 1200)  # more than pgvector's graph gives
        np.testing.assert_array_equal(large.distances, wanted.distances)
        with pytest.raises(AvnasError, match="mih: pgvector has no such index for bits"):
            create_store(where, codes, MIH(), replace=True)
        assert len(open_store(where)) == 3000
