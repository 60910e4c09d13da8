"""A store in Milvus: in a local file (Milvus Lite) or on a cluster."""

import json
from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Self

import numpy as np

from avhash_nas.code_set import CodeSet, Packed
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.columns import all_classes
from avhash_nas.retrieval.index_kind import IndexKind, Progress
from avhash_nas.retrieval.milvus_rows import batches, code_set, fields_of, key_of, rows_of, video_of
from avhash_nas.retrieval.milvus_server import MilvusServer, is_local, split_place
from avhash_nas.retrieval.store import CodeStore, Found, StoreHeader

_FORMAT = 1
_MOST = 16_384  # Milvus: rows of an answer
_AT_ONCE = 1000  # ids asked for in one call
_HEADER_FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "VARCHAR", "max_length": 16, "is_primary": True},
    "unused": {"type": "BINARY_VECTOR", "dim": 8},  # Milvus has no collections without vectors
    "header": {"type": "VARCHAR", "max_length": 65_535},
}


class MilvusStore(CodeStore):
    """Two collections of Milvus: `NAME` tells in one row what holds for all codes, `NAME_1` or a later one has them.

    A new index is built in a collection of its own; writing the one row is what puts it in the old one's place. A video
    is a row: `id` (percent-encoded), `code` (a binary vector under the Hamming metric), `labels` (JSON list of names),
    `values` and `frames` (float16, base64), so that anything that talks to Milvus can search them.

    Equal distances come in the order of the ids; which of several equally near codes come last before the cut is up to
    Milvus. An `add` that is stopped half-way leaves what was sent until then; with `replace` it can be done again.

    Args:
        server: Where it is.
        collection: NAME.
        header: What holds for all codes.
        rows: Name of the collection that has the codes.
        search: What Milvus takes to search that collection's index.
    """

    def __init__(
        self, server: MilvusServer, collection: str, header: StoreHeader, rows: str, search: dict[str, Any]
    ) -> None:
        self.where = f"milvus:{server.uri}#{collection}"
        self._server = server
        self._collection = collection
        self._header = header
        self._rows = rows
        self._search = search

    @classmethod
    def open(cls, place: str) -> Self:
        """Open a store.

        Args:
            place: `URI` or `URI#collection`.

        Raises:
            AvnasError: There is none, or no server.
            MissingExtraError: pymilvus is not installed.
        """
        uri, collection = split_place(place)
        missing = f"milvus:{uri}#{collection}: no such index; `avnas index build` makes one"
        if is_local(uri) and not Path(uri).exists():
            raise AvnasError(missing)
        server = MilvusServer(uri)
        written = _read_header(server, collection)
        if written is None:
            raise AvnasError(missing)
        with server.asked() as client:
            client.load_collection(written["rows"])
        header = StoreHeader(
            bits=written["bits"],
            fingerprint=written["fingerprint"],
            kind=IndexKind.from_dict(written["kind"]),
            class_names=tuple(written["class_names"]),
            extraction=written["extraction"],
            values=written["values"],
            frames=tuple(written["frames"]) if written["frames"] else None,
        )
        return cls(server, collection, header, written["rows"], written["search"])

    @classmethod
    def create(
        cls,
        place: str,
        codes: CodeSet,
        kind: IndexKind,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Fill a new collection; `avhash_nas.retrieval.create_store` tells the other arguments.

        Args:
            place: `URI` or `URI#collection`.
            codes: At least one.
            kind: How they are searched.
            replace: Whether the store takes the place of one that is there.
            progress: Called with the number of codes that are in and the number of all.

        Raises:
            AvnasError: There is one already, Milvus has no such kind, or there is no server.
            MissingExtraError: pymilvus is not installed.
        """
        uri, collection = split_place(place)
        type_, params, search = kind.milvus_index(len(codes))
        if is_local(uri) and type_ != "BIN_FLAT":
            raise AvnasError(f"milvus:{uri}: Milvus in a local file searches exactly; take --kind=flat, or a server")
        header = StoreHeader(
            bits=codes.bits,
            fingerprint=codes.fingerprint,
            kind=kind,
            class_names=codes.class_names,
            extraction=codes.extraction,
            values=codes.values is not None,
            frames=None if codes.frames is None else (codes.frames.shape[1], codes.frames.shape[2]),
        )
        fields = fields_of(header)
        server = MilvusServer(uri)
        former = _read_header(server, collection)
        if former is not None and not replace:
            raise AvnasError(f"milvus:{uri}#{collection}: there is an index already; add to it, or use --replace")
        number = int(former["rows"].rpartition("_")[2]) + 1 if former else 1
        store = cls(server, collection, header, f"{collection}_{number}", search)
        index = {"field_name": "code", "index_type": type_, "metric_type": "HAMMING", "params": params}
        server.collection(store._rows, fields, index)
        store._send(codes, "insert", progress)
        store._write_header()
        if former:
            with server.asked() as client:
                client.drop_collection(former["rows"])
        return store

    @property
    def header(self) -> StoreHeader:
        """What holds for all codes."""
        return self._header

    def __len__(self) -> int:
        with self._server.asked() as client:
            return int(client.query(self._rows, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def __contains__(self, video: object) -> bool:
        return isinstance(video, str) and bool(self._get([video], ["id"]))

    def first_ids(self, count: int = 100) -> list[str]:
        """Those that Milvus gives first, sorted."""
        with self._server.asked() as client:
            rows = client.query(self._rows, filter="", limit=min(count, _MOST), output_fields=["id"])
        return sorted(video_of(row["id"]) for row in rows)

    def search(self, packed: Packed, top: int) -> Found:
        """The nearest codes; `CodeStore.search` tells the arguments."""
        self.check_queries(packed, top)
        if top > _MOST:
            top = min(top, max(1, len(self)))  # not asked for every time, as it takes as long as a search
        if top > _MOST:
            raise AvnasError(f"{self.where}: Milvus gives at most {_MOST} answers to a query, top is {top}")
        found: list[list[tuple[int, str]]] = []
        step = max(1, min(_AT_ONCE, 10 * _MOST // top))
        for start in range(0, len(packed), step):
            with self._server.asked() as client:
                answers = client.search(
                    self._rows,
                    data=[code.tobytes() for code in packed[start : start + step]],
                    anns_field="code",
                    limit=top,
                    search_params={"metric_type": "HAMMING", "params": self._search},
                )
            found += [sorted((int(hit["distance"]), video_of(hit["id"])) for hit in hits) for hits in answers]
        longest = max(map(len, found), default=0)
        padded = [[*pairs, *[(-1, "")] * (longest - len(pairs))] for pairs in found]
        ids = [[video for _, video in pairs] for pairs in padded]
        distances = [[distance for distance, _ in pairs] for pairs in padded]
        shape = (len(found), longest)
        return Found(np.array(ids, np.str_).reshape(shape), np.array(distances, np.int32).reshape(shape))

    def fetch(self, ids: Sequence[str], values: bool = True, frames: bool = True) -> CodeSet:
        """What is kept of some videos; `CodeStore.fetch` tells the arguments."""
        values, frames = values and self.header.values, frames and self.header.frames is not None
        wanted = ["id", "code", "labels", *(["values"] if values else []), *(["frames"] if frames else [])]
        rows = self._get(ids, wanted)
        for video in ids:
            if video not in rows:
                raise AvnasError(f"{self.where}: holds no video {video!r}")
        return code_set([rows[video] for video in ids], self.header, values, frames)

    def add(self, codes: CodeSet, replace: bool = False, progress: Progress | None = None) -> None:
        """Add codes; `CodeStore.add` tells the arguments."""
        self.check_codes(codes.bits, codes.fingerprint, "new codes")
        self.check_kept(codes)
        if not replace:
            for video in self._get(codes.ids.tolist(), ["id"]):
                raise AvnasError(
                    f"{self.where}: video {video} is there already; --replace puts the new code in its place"
                )
        names = all_classes(self.class_names, codes.class_names)
        if names != self.class_names:
            self._header = changed(self._header, class_names=names)
            self._write_header()
        self._send(codes, "upsert" if replace else "insert", progress)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove videos; `CodeStore.remove` tells the arguments."""
        there = [key_of(video) for video in self._get(ids, ["id"])]
        for start in range(0, len(there), _AT_ONCE):
            with self._server.asked() as client:
                client.delete(self._rows, ids=there[start : start + _AT_ONCE])
        return len(there)

    def size(self) -> int:
        """Bytes of the local file; 0 for a server."""
        return Path(self._server.uri).stat().st_size if is_local(self._server.uri) else 0

    def _get(self, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        """Rows by id, those that are there."""
        found = {}
        for start in range(0, len(ids), _AT_ONCE):
            with self._server.asked() as client:
                keys = [key_of(video) for video in ids[start : start + _AT_ONCE]]
                found.update(
                    {video_of(row["id"]): row for row in client.get(self._rows, ids=keys, output_fields=fields)}
                )
        return found

    def _send(self, codes: CodeSet, how: str, progress: Progress | None) -> None:
        done = 0
        for batch in batches(rows_of(codes, self.header)):
            with self._server.asked() as client:
                getattr(client, how)(self._rows, batch)
            done += len(batch)
            if progress:
                progress(done, len(codes))

    def _write_header(self) -> None:
        header = self.header
        written = {
            "format": _FORMAT,
            "bits": header.bits,
            "fingerprint": header.fingerprint,
            "kind": header.kind.to_dict(),
            "class_names": header.class_names,
            "extraction": header.extraction,
            "values": header.values,
            "frames": header.frames,
            "rows": self._rows,
            "search": self._search,
        }
        with self._server.asked() as client:
            if not client.has_collection(self._collection):
                index = {"field_name": "unused", "index_type": "BIN_FLAT", "metric_type": "HAMMING"}
                self._server.collection(self._collection, _HEADER_FIELDS, index)
            client.upsert(self._collection, [{"id": "header", "unused": b"\0", "header": json.dumps(written)}])


def _read_header(server: MilvusServer, collection: str) -> dict[str, Any] | None:
    """What the one row says; None where there is no such collection.

    Raises:
        AvnasError: The collection is another's.
    """
    with server.asked() as client:
        if not client.has_collection(collection):
            return None
        if {field["name"] for field in client.describe_collection(collection)["fields"]} != set(_HEADER_FIELDS):
            raise AvnasError(f"milvus:{server.uri}: the collection {collection} is no index of this program")
        client.load_collection(collection)
        rows = client.get(collection, ids=["header"], output_fields=["header"])
    if not rows:
        return None
    written: dict[str, Any] = json.loads(rows[0]["header"])
    if written["format"] != _FORMAT:
        raise AvnasError(f"milvus:{server.uri}#{collection}: index of another format than {_FORMAT}")
    return written
