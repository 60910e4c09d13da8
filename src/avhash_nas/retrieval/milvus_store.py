"""A store in Milvus: in a local file (Milvus Lite) or on a cluster."""

import json
from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Self

import numpy as np
from typing_extensions import override

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.columns import merge_classes
from avhash_nas.retrieval.index_kind import IndexKind, Progress
from avhash_nas.retrieval.milvus_rows import batches, code_set, fields_of, key_of, rows_of, video_of
from avhash_nas.retrieval.milvus_server import MilvusServer, is_local, split_place
from avhash_nas.retrieval.store import CodeStore, Neighbors, StoreHeader

_MOST = 16_384  # Milvus: rows in one answer
_AT_ONCE = 1000  # ids in one request
_HEADER_FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "VARCHAR", "max_length": 16, "is_primary": True},
    "unused": {"type": "BINARY_VECTOR", "dim": 8},  # Milvus has no collections without vectors
    "header": {"type": "VARCHAR", "max_length": 65_535},
}


class MilvusStore(CodeStore):
    """Two collections of Milvus: `NAME` holds the header in one row, `NAME_1` (or a later number) holds the codes.

    A replacement is built in a new collection and takes effect when the header row is written. A video is one row:
    `id` (percent-encoded), `code` (binary vector, Hamming metric), `labels` (JSON, `{"names": [...]}`), `values` and
    `frames` (float16, base64), so that other Milvus clients can search it.

    Equal distances are ordered by id; Milvus decides which of several equally near codes fall below the cutoff. An
    interrupted `add` leaves the rows sent so far; repeat it with `replace`.

    Args:
        server: Connection.
        collection: NAME.
        header: What holds for all codes.
        rows: Name of the collection with the codes.
        search: Search parameters of that collection's index.
    """

    def __init__(
        self, server: MilvusServer, collection: str, header: StoreHeader, rows: str, search: dict[str, Any]
    ) -> None:
        super().__init__(f"milvus:{server.uri}#{collection}", header)
        self._server = server
        self._collection = collection
        self._rows = rows
        self._search = search

    @classmethod
    def open(cls, place: str) -> Self:
        """Opens a store.

        Args:
            place: `URI` or `URI#collection`.

        Raises:
            AvnasError: The store is missing, or the server does not answer.
            MissingExtraError: pymilvus is not installed.
        """
        uri, collection = split_place(place)
        missing = f"milvus:{uri}#{collection}: no such index; `avnas index build` makes one"
        if is_local(uri) and not Path(uri).exists():
            raise AvnasError(missing)
        server = MilvusServer(uri)
        data = _read_header(server, collection)
        if data is None:
            raise AvnasError(missing)
        with server.errors() as client:
            client.load_collection(data["rows"])
        frames = tuple(data["frames"]) if data["frames"] else None
        header = StoreHeader.from_dict(data, data["values"], frames, f"milvus:{uri}#{collection}")
        return cls(server, collection, header, data["rows"], data["search"])

    @classmethod
    def create(
        cls,
        place: str,
        codes: CodeSet,
        kind: IndexKind,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Fills a new collection; `place` as for `open`, other arguments and errors as for `create_store`."""
        uri, collection = split_place(place)
        type_, params, search = kind.milvus_index(len(codes))
        if is_local(uri) and type_ != "BIN_FLAT":
            raise AvnasError(f"milvus:{uri}: Milvus in a local file searches exactly; use --kind=flat, or a server")
        frames = None if codes.frames is None else (codes.frames.shape[1], codes.frames.shape[2])
        header = StoreHeader(
            *(codes.bits, codes.fingerprint, kind, codes.class_names, codes.extraction),
            values=codes.values is not None,
            frames=frames,
        )
        fields = fields_of(header)
        server = MilvusServer(uri)
        previous = _read_header(server, collection)
        if previous is not None and not replace:
            raise AvnasError(f"milvus:{uri}#{collection}: there is an index already; add to it, or use --replace")
        number = int(previous["rows"].rpartition("_")[2]) + 1 if previous else 1
        store = cls(server, collection, header, f"{collection}_{number}", search)
        index = {"field_name": "code", "index_type": type_, "metric_type": "HAMMING", "params": params}
        server.create_collection(store._rows, fields, index)
        store._send(codes, "insert", progress)
        store._write_header()
        if previous:
            with server.errors() as client:
                client.drop_collection(previous["rows"])
        return store

    def __len__(self) -> int:
        with self._server.errors() as client:
            return int(client.query(self._rows, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def __contains__(self, video: object) -> bool:
        return isinstance(video, str) and bool(self._get([video], ["id"]))

    @override
    def first_ids(self, count: int = 100) -> list[str]:
        with self._server.errors() as client:
            rows = client.query(self._rows, filter="", limit=min(count, _MOST), output_fields=["id"])
        return sorted(video_of(row["id"]) for row in rows)

    @override
    def search(self, packed: Packed, top: int) -> Neighbors:
        self.check_queries(packed, top)
        if top > _MOST:
            top = min(top, max(1, len(self)))  # counted only here: it takes as long as a search
        if top > _MOST:
            raise AvnasError(f"{self.where}: Milvus returns at most {_MOST} answers per query, got top {top}")
        neighbors: list[list[tuple[int, str]]] = []
        step = max(1, min(_AT_ONCE, 10 * _MOST // top))
        for start in range(0, len(packed), step):
            with self._server.errors() as client:
                answers = client.search(
                    self._rows,
                    data=[code.tobytes() for code in packed[start : start + step]],
                    anns_field="code",
                    limit=top,
                    search_params={"metric_type": "HAMMING", "params": self._search},
                )
            neighbors += [sorted((int(hit["distance"]), video_of(hit["id"])) for hit in hits) for hits in answers]
        longest = max(map(len, neighbors), default=0)
        padded = [[*pairs, *[(-1, "")] * (longest - len(pairs))] for pairs in neighbors]
        ids = [[video for _, video in pairs] for pairs in padded]
        distances = [[distance for distance, _ in pairs] for pairs in padded]
        shape = (len(neighbors), longest)
        return Neighbors(np.array(ids, np.str_).reshape(shape), np.array(distances, np.int32).reshape(shape))

    @override
    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        values, frames = values and self.header.values, frames and self.header.frames is not None
        fields = ["id", "code", "labels", *(["values"] if values else []), *(["frames"] if frames else [])]
        rows = self._get(ids, fields)
        for video in ids:
            if video not in rows:
                raise AvnasError(f"{self.where}: holds no video {video!r}")
        return code_set([rows[video] for video in ids], self.header, values, frames)

    @override
    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        self.check_codes(codes.bits, codes.fingerprint, "new codes")
        self.check_kept(codes)
        if not replace:
            for video in self._get(codes.ids.tolist(), ["id"]):
                raise AvnasError(f"{self.where}: video {video} is there already; --replace overwrites it")
        names = merge_classes(self.class_names, codes.class_names)
        if names != self.class_names:
            self.header = changed(self.header, class_names=names)
            self._write_header()
        self._send(codes, "upsert" if replace else "insert", progress)

    @override
    def remove(self, ids: Sequence[str]) -> int:
        keys = [key_of(video) for video in self._get(ids, ["id"])]
        for start in range(0, len(keys), _AT_ONCE):
            with self._server.errors() as client:
                client.delete(self._rows, ids=keys[start : start + _AT_ONCE])
        return len(keys)

    @override
    def size(self) -> int:
        return Path(self._server.uri).stat().st_size if is_local(self._server.uri) else 0

    def _get(self, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        """Existing rows by id."""
        rows = {}
        for start in range(0, len(ids), _AT_ONCE):
            with self._server.errors() as client:
                keys = [key_of(video) for video in ids[start : start + _AT_ONCE]]
                answer = client.get(self._rows, ids=keys, output_fields=fields)
            rows.update({video_of(row["id"]): row for row in answer})
        return rows

    def _send(self, codes: CodeSet, how: str, progress: Progress | None) -> None:
        done = 0
        for batch in batches(rows_of(codes, self.header)):
            with self._server.errors() as client:
                getattr(client, how)(self._rows, batch)
            done += len(batch)
            if progress:
                progress(done, len(codes))

    def _write_header(self) -> None:
        data = self.header.to_dict() | {"values": self.header.values, "frames": self.header.frames}
        data |= {"rows": self._rows, "search": self._search}
        with self._server.errors() as client:
            if not client.has_collection(self._collection):
                index = {"field_name": "unused", "index_type": "BIN_FLAT", "metric_type": "HAMMING"}
                self._server.create_collection(self._collection, _HEADER_FIELDS, index)
            client.upsert(self._collection, [{"id": "header", "unused": b"\0", "header": json.dumps(data)}])


def _read_header(server: MilvusServer, collection: str) -> dict[str, Any] | None:
    """The header row; None if there is no such collection.

    Raises:
        AvnasError: The collection was not created by this package.
    """
    with server.errors() as client:
        if not client.has_collection(collection):
            return None
        if {field["name"] for field in client.describe_collection(collection)["fields"]} != set(_HEADER_FIELDS):
            raise AvnasError(f"milvus:{server.uri}: the collection {collection} is not an index of this program")
        client.load_collection(collection)
        rows = client.get(collection, ids=["header"], output_fields=["header"])
    if not rows:
        return None
    data: dict[str, Any] = json.loads(rows[0]["header"])
    return data
