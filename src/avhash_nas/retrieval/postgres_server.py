"""A connection to PostgreSQL with one-line errors."""

import importlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avhash_nas.errors import AvnasError, MissingExtraError

_DEFAULT_TABLE = "avhash"
_EXTENSION = (0, 7)
_SECONDS = 30  # to connect


def split_address(address: str) -> tuple[str, str]:
    """Splits `postgresql://...#table`.

    Raises:
        AvnasError: The name of the table is invalid.

    >>> split_address("postgresql://host/videos#clips"), split_address("postgresql://host/videos")
    (('postgresql://host/videos', 'clips'), ('postgresql://host/videos', 'avhash'))
    """
    uri, _, table = address.partition("#")
    table = table or _DEFAULT_TABLE
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", table):
        raise AvnasError(
            f"{shown(uri)}#{table}: a table's name has small letters, digits and _, and starts with no digit"
        )
    return uri, table


def shown(uri: str) -> str:
    """A URI for messages, without its password.

    >>> shown("postgresql://me:secret@host/videos?password=secret")
    'postgresql://me@host/videos?password=...'
    """
    return re.sub(r"(password=)[^&]*", r"\1...", re.sub(r"(://[^:/@]*):[^@/]*@", r"\1@", uri))


class PostgresServer:
    """A connection, which threads use in turn, and which is opened again after it was lost.

    Args:
        uri: As libpq takes it: `postgresql://user@host/database`.

    Raises:
        AvnasError: The connection fails.
        MissingExtraError: psycopg is not installed.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        try:
            self._psycopg = importlib.import_module("psycopg")
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgres", "a store in PostgreSQL") from error
        self._connection: Any = None
        self._in_turn = threading.RLock()
        with self.transaction():
            pass

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Yields the connection within a transaction, and turns its errors into AvnasError."""
        with self._in_turn:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._psycopg.connect(self._uri, autocommit=True, connect_timeout=_SECONDS)
                with self._connection.transaction():
                    yield self._connection
            except self._psycopg.Error as error:
                raise AvnasError(f"{shown(self._uri)}: {' '.join(str(error).split())}") from error

    def require_vectors(self) -> None:
        """Installs the extension pgvector in the database, if it is not there.

        Raises:
            AvnasError: It cannot be installed, or is older than 0.7, which has no Hamming distance.
        """
        with self.transaction() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            (version,) = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
        if tuple(map(int, version.split(".")[:2])) < _EXTENSION:
            raise AvnasError(f"{shown(self._uri)}: pgvector {version} is installed; needs 0.7 or later")
