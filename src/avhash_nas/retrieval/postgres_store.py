"""A store in PostgreSQL with the extension pgvector."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace as changed
from typing import Any, Self

import numpy as np
from typing_extensions import override

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.columns import merge_classes
from avhash_nas.retrieval.index_kind import IndexKind, Progress
from avhash_nas.retrieval.milvus_rows import key_of, video_of
from avhash_nas.retrieval.postgres_server import PostgresServer, shown, split_address
from avhash_nas.retrieval.store import CodeStore, Neighbors, StoreHeader

_AT_ONCE = 10_000  # rows between two reports of progress
_FRESH = "_new"
_MOST_CANDIDATES = 1000  # pgvector: largest hnsw.ef_search


class PostgresStore(CodeStore):
    """Two tables: `NAME` holds a row for each video, `NAME_header` one row for all.

    A row has `number` (ascending in the order of insertion), `id` (percent-encoded), `code` (`bit`, q bits filled up to
    bytes), `labels` (text array), and `values` and `frames` (float16 bytes) if they are stored. Other clients can
    search it: `ORDER BY code <~> B'0101...'`.

    Every change is one transaction: others see all of it or nothing, and so does an interrupted one. Equal distances
    are ordered by insertion. An approximate index decides which of several equally near codes fall below the cutoff; if
    it finds fewer codes than requested, the query is searched exactly.

    Args:
        server: Connection.
        table: NAME.
        header: What holds for all codes.
        where: Address, for messages.
        settings: Settings of a search by the index; empty without one.
    """

    def __init__(
        self, server: PostgresServer, table: str, header: StoreHeader, where: str, settings: dict[str, int]
    ) -> None:
        super().__init__(where, header)
        self._server = server
        self._table = table
        self._settings = settings
        self._bits = f"bit({8 * -(-header.bits // 8)})"
        self._columns = ["id", "code", "labels", *_kept(header)]

    @classmethod
    def open(cls, address: str) -> Self:
        """Opens a store.

        Args:
            address: `postgresql://...` with an optional `#table`.

        Raises:
            AvnasError: The store is missing, or the server does not answer.
            MissingExtraError: psycopg is not installed.
        """
        uri, table = split_address(address)
        where, server = f"{shown(uri)}#{table}", PostgresServer(uri)
        with server.transaction() as connection:
            data = _read_header(connection, table)
        if data is None:
            raise AvnasError(f"{where}: no such index; `avnas index build` makes one")
        return cls(server, table, _header(data, where), where, data["search"])

    @classmethod
    def create(
        cls,
        address: str,
        codes: CodeSet,
        kind: IndexKind,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Fills new tables; `address` as for `open`, other arguments and errors as for `create_store`."""
        uri, table = split_address(address)
        where = f"{shown(uri)}#{table}"
        index = kind.postgres_index(len(codes))
        header = StoreHeader(
            *(codes.bits, codes.fingerprint, kind, codes.class_names, codes.extraction),
            values=codes.values is not None,
            frames=None if codes.frames is None else (codes.frames.shape[1], codes.frames.shape[2]),
        )
        server = PostgresServer(uri)
        with server.transaction() as connection:
            exists = _exists(connection, table) or _exists(connection, f"{table}_header")
            if exists and _read_header(connection, table) is None:
                raise AvnasError(f"{where}: the table is not an index of this program")
        if exists and not replace:
            raise AvnasError(f"{where}: there is an index already; add to it, or replace it with --replace")
        server.require_vectors()
        store = cls(server, table, header, where, {} if index is None else index[2])
        with server.transaction() as connection:
            store._make_tables(connection)
            store._send(connection, table + _FRESH, codes, progress)
            if index is not None:
                method, options, _ = index
                given = ", ".join(f"{name} = {value}" for name, value in options.items())
                connection.execute(
                    f"CREATE INDEX ON {table}{_FRESH} USING {method} (code bit_hamming_ops) WITH ({given})"
                )
            for name in (table, f"{table}_header"):
                connection.execute(f"DROP TABLE IF EXISTS {name}")
                connection.execute(f"ALTER TABLE {name}{_FRESH} RENAME TO {name}")
        return store

    def __len__(self) -> int:
        with self._server.transaction() as connection:
            return int(connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])

    def __contains__(self, video: object) -> bool:
        return isinstance(video, str) and bool(self._rows([video], ["id"]))

    @override
    def first_ids(self, count: int = 100) -> list[str]:
        with self._server.transaction() as connection:
            rows = connection.execute(f"SELECT id FROM {self._table} ORDER BY number LIMIT %s", (count,)).fetchall()
        return [video_of(key) for (key,) in rows]

    @override
    def search(self, packed: Packed, top: int) -> Neighbors:
        self.check_queries(packed, top)
        texts = _bit_texts(packed)
        with self._server.transaction() as connection:
            count = connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0]
            top = min(top, count)
            answers = [self._nearest(connection, text, top) for text in texts]
        ids = [[video_of(key) for key, _ in answer] for answer in answers]
        distances = [[int(distance) for _, distance in answer] for answer in answers]
        shape = (len(texts), top)
        return Neighbors(np.array(ids, np.str_).reshape(shape), np.array(distances, np.int32).reshape(shape))

    @override
    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        values, shape = values and self.header.values, self.header.frames if frames else None
        header = changed(self.header, values=values, frames=shape)
        rows = self._rows(ids, ["id", "code", "labels", *_kept(header)])
        for video in ids:
            if video not in rows:
                raise AvnasError(f"{self.where}: holds no video {video!r}")
        return _code_set([rows[video] for video in ids], header)

    @override
    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        self.check_codes(codes.bits, codes.fingerprint, "new codes")
        self.check_kept(codes)
        with self._server.transaction() as connection:
            data = _read_header(connection, self._table, lock=True)  # one writer after the other
            self.header = self.header if data is None else _header(data, self.where)
            there = self._rows(codes.ids.tolist(), ["id"])
            if there and not replace:
                raise AvnasError(f"{self.where}: video {next(iter(there))} is there already; --replace overwrites it")
            self._delete(connection, there)
            self.header = changed(self.header, class_names=merge_classes(self.class_names, codes.class_names))
            connection.execute(f"UPDATE {self._table}_header SET header = %s", (self._header_text(),))
            self._send(connection, self._table, codes, progress)

    @override
    def remove(self, ids: Sequence[str]) -> int:
        with self._server.transaction() as connection:
            return self._delete(connection, ids)

    @override
    def size(self) -> int:
        with self._server.transaction() as connection:
            return int(connection.execute("SELECT pg_total_relation_size(%s)", (self._table,)).fetchone()[0])

    def _make_tables(self, connection: Any) -> None:
        """New tables beside the present ones."""
        parts = "".join(f', "{name}" bytea NOT NULL' for name in _kept(self.header))
        new = self._table + _FRESH
        connection.execute(f"DROP TABLE IF EXISTS {new}, {self._table}_header{_FRESH}")
        connection.execute(
            f"CREATE TABLE {new} (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text UNIQUE NOT NULL, "
            f"code {self._bits} NOT NULL, labels text[]{parts})"
        )
        connection.execute(f"CREATE TABLE {self._table}_header{_FRESH} (header json NOT NULL)")
        connection.execute(f"INSERT INTO {self._table}_header{_FRESH} VALUES (%s)", (self._header_text(),))

    def _header_text(self) -> str:
        others = {"values": self.header.values, "frames": self.header.frames, "search": self._settings}
        return json.dumps(self.header.to_dict() | others)

    def _send(self, connection: Any, table: str, codes: CodeSet, progress: Progress | None) -> None:
        columns = ", ".join(f'"{name}"' for name in self._columns)
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for done, row in enumerate(_rows_of(codes, self._columns), 1):
                copy.write_row(row)
                if progress and (done % _AT_ONCE == 0 or done == len(codes)):
                    progress(done, len(codes))

    def _nearest(self, connection: Any, text: str, top: int) -> list[tuple[str, float]]:
        """Ids and distances of one query; searched exactly if an index finds too few."""
        away = f"code <~> %(code)s::{self._bits}"
        nearest = f"SELECT id, number, {away} AS away FROM {self._table} ORDER BY {away}"
        in_order, query = "ORDER BY away, number", {"code": text, "top": top}
        if self._settings:
            for name, value in self._settings.items():
                wanted = min(_MOST_CANDIDATES, max(value, top)) if name == "hnsw.ef_search" else value
                connection.execute(f"SET LOCAL {name} = {wanted}")
            connection.execute("SET LOCAL enable_indexscan = on")
            found = connection.execute(f"SELECT id, away FROM ({nearest} LIMIT %(top)s) AS found {in_order}", query)
            answers: list[tuple[str, float]] = found.fetchall()
            if len(answers) == top:
                return answers
            connection.execute("SET LOCAL enable_indexscan = off")
        found = connection.execute(f"SELECT id, away FROM ({nearest}, number LIMIT %(top)s) AS found {in_order}", query)
        exact: list[tuple[str, float]] = found.fetchall()
        return exact

    def _rows(self, ids: Sequence[str], columns: list[str]) -> dict[str, dict[str, Any]]:
        """Existing rows by id."""
        names = ", ".join(f'"{name}"' for name in columns)
        with self._server.transaction() as connection:
            keys = [key_of(video) for video in ids]
            rows = connection.execute(f"SELECT {names} FROM {self._table} WHERE id = ANY(%s)", (keys,)).fetchall()
        return {video_of(row[0]): dict(zip(columns, row, strict=True)) for row in rows}

    def _delete(self, connection: Any, ids: Sequence[str] | dict[str, Any]) -> int:
        keys = [key_of(video) for video in ids]
        return int(connection.execute(f"DELETE FROM {self._table} WHERE id = ANY(%s)", (keys,)).rowcount)


def _kept(header: StoreHeader) -> list[str]:
    """The columns of the parts that a store keeps."""
    return [name for name, kept in (("values", header.values), ("frames", header.frames)) if kept]


def _exists(connection: Any, table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()[0] is not None


def _read_header(connection: Any, table: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The header; None if there is no such store."""
    if not (_exists(connection, table) and _exists(connection, f"{table}_header")):
        return None
    row = connection.execute(f"SELECT header FROM {table}_header{' FOR UPDATE' if lock else ''}").fetchone()
    data: dict[str, Any] = row[0]
    return data


def _header(data: dict[str, Any], where: str) -> StoreHeader:
    frames = tuple(data["frames"]) if data["frames"] else None
    return StoreHeader.from_dict(data, data["values"], frames, where)


def _bit_texts(packed: Packed) -> list[str]:
    """Codes as text of 0 and 1."""
    return [row.tobytes().decode("ascii") for row in np.unpackbits(packed, axis=1) + np.uint8(ord("0"))]


def _rows_of(codes: CodeSet, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """One row for each video, with these columns."""
    names = np.array(codes.class_names, np.str_)
    for row, (video, text) in enumerate(zip(codes.ids.tolist(), _bit_texts(codes.packed), strict=True)):
        labels = None if codes.labels is None else names[codes.labels[row]].tolist()
        parts = (getattr(codes, name)[row].astype("<f2").tobytes() for name in columns[3:])
        yield (key_of(video), text, labels, *parts)


def _code_set(rows: Sequence[dict[str, Any]], header: StoreHeader) -> CodeSet:
    """Rows as a code set."""
    texts = "".join(row["code"] for row in rows).encode("ascii")
    signs = np.frombuffer(texts, np.uint8).reshape(len(rows), 8 * -(-header.bits // 8)) - ord("0")
    labels = np.array([[name in (row["labels"] or ()) for name in header.class_names] for row in rows], np.bool_)
    shapes = {"values": (header.bits,), "frames": header.frames or ()}
    parts: dict[str, Any] = {
        name: np.frombuffer(b"".join(row[name] for row in rows), "<f2").astype(np.float16).reshape(-1, *shapes[name])
        for name in _kept(header)
    }
    return CodeSet(
        ids=np.array([video_of(row["id"]) for row in rows], np.str_),
        packed=np.packbits(signs, axis=1),
        bits=header.bits,
        fingerprint=header.fingerprint,
        labels=labels.reshape(len(rows), len(header.class_names)) if header.class_names else None,
        class_names=header.class_names,
        extraction=header.extraction,
        **parts,
    )
