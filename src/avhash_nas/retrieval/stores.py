"""Opens and creates stores by address."""

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.faiss_store import FaissStore
from avhash_nas.retrieval.flat import Flat
from avhash_nas.retrieval.index_kind import IndexKind, Progress
from avhash_nas.retrieval.milvus_store import MilvusStore
from avhash_nas.retrieval.postgres_store import PostgresStore
from avhash_nas.retrieval.store import CodeStore

_MILVUS = "milvus:"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(where: str) -> CodeStore:
    """Opens a store.

    Args:
        where: Path of a FAISS index file, `milvus:URI` with an optional `#collection`, where the URI is a local file
            (`milvus:codes.db`) or a server (`milvus:http://localhost:19530`), or `postgresql://user@host/database` with
            an optional `#table`.

    Raises:
        AvnasError: The store is missing or damaged.
        MissingExtraError: FAISS, Milvus or psycopg is not installed.
    """
    if where.startswith(_MILVUS):
        return MilvusStore.open(where.removeprefix(_MILVUS))
    if where.startswith(_POSTGRES):
        return PostgresStore.open(where)
    return FaissStore.open(where)


def create_store(
    where: str,
    codes: CodeSet,
    kind: IndexKind | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> CodeStore:
    """Creates a store. A store that it replaces stays in place until the new one is complete.

    Args:
        where: Address, as for `open_store`.
        codes: At least one code; values, frames and labels are stored with them.
        kind: Index kind; exact search by default.
        replace: Whether to replace an existing store.
        progress: Called with the number of codes added so far and the total.

    Raises:
        AvnasError: The store already exists, does not support the kind, or cannot be written.
        MissingExtraError: FAISS, Milvus or psycopg is not installed.
    """
    if not len(codes):
        raise AvnasError(f"{where}: an index needs at least one code")
    if where.startswith(_MILVUS):
        return MilvusStore.create(where.removeprefix(_MILVUS), codes, kind or Flat(), replace, progress)
    if where.startswith(_POSTGRES):
        return PostgresStore.create(where, codes, kind or Flat(), replace, progress)
    return FaissStore.create(where, codes, kind or Flat(), replace, progress)
