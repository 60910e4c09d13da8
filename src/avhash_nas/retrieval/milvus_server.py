"""A connection to Milvus with one-line errors."""

import importlib
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError, MissingExtraError

_LOCAL = ".db"
_DEFAULT_COLLECTION = "avhash"
_SECONDS = 30.0  # timeout of a request
_CLIENT = (2, 6)
_SERVER = (2, 3)  # earlier ones cannot overwrite rows by a key that is text


def split_place(place: str) -> tuple[str, str]:
    """Splits `URI#collection`.

    Args:
        place: The address after `milvus:`.

    Raises:
        AvnasError: The URI is neither a server nor a local file, or the collection name is invalid.

    >>> split_place("http://localhost:19530#videos"), split_place("codes.db")
    (('http://localhost:19530', 'videos'), ('codes.db', 'avhash'))
    """
    uri, _, collection = place.partition("#")
    collection = collection or _DEFAULT_COLLECTION
    if "://" not in uri and not uri.endswith(_LOCAL):
        raise AvnasError(f"milvus:{place}: expected a file name that ends with .db, or a server, http://host:19530")
    if not re.fullmatch(r"[A-Za-z_]\w{0,200}", collection, re.ASCII):
        raise AvnasError(f"milvus:{place}: a collection name has letters, digits and _, and starts with no digit")
    return uri, collection


def is_local(uri: str) -> bool:
    """Whether a URI is a file of Milvus Lite."""
    return "://" not in uri


class MilvusServer:
    """A connection.

    Args:
        uri: A server (`http://host:19530`), or a local file whose name ends with `.db`, created if missing.

    Raises:
        AvnasError: The connection fails, or the versions of client or server are too old.
        MissingExtraError: pymilvus or Milvus Lite is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            self._pymilvus = importlib.import_module("pymilvus")
            if is_local(uri):
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "pkg_resources is deprecated")  # milvus-lite 2.5 uses it
                    importlib.import_module("milvus_lite")
                Path(uri).absolute().parent.mkdir(parents=True, exist_ok=True)
        except ImportError as error:
            raise MissingExtraError(error.name or "pymilvus", "milvus", "a store in Milvus") from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs a traceback for every error it raises
        if _numbers(version := self._pymilvus.__version__) < _CLIENT:
            raise AvnasError(f"milvus:{uri}: pymilvus {version} is installed; needs {_text(_CLIENT)} or later")
        with self.errors():
            self.client = self._pymilvus.MilvusClient(uri=uri, timeout=_SECONDS)
            if not is_local(uri) and _numbers(version := str(self.client.get_server_version())) < _SERVER:
                raise AvnasError(f"milvus:{uri}: the server is Milvus {version}; needs {_text(_SERVER)} or later")

    @contextmanager
    def errors(self) -> Iterator[Any]:
        """Yields the client and turns its errors into AvnasError."""
        grpc = importlib.import_module("grpc")
        try:
            yield getattr(self, "client", None)
        except (self._pymilvus.MilvusException, grpc.RpcError, OSError) as error:
            reason = " ".join(str(getattr(error, "message", "") or error).split())
            hint = " (has another process opened the file?)" if "Open local" in reason else ""
            raise AvnasError(f"milvus:{self.uri}: {reason}{hint}") from error

    def create_collection(self, collection: str, fields: dict[str, dict[str, Any]], index: dict[str, Any]) -> None:
        """Creates a collection, dropping an existing one; `fields` and `index` are options of Milvus, types by name."""
        with self.errors() as client:
            if client.has_collection(collection):
                client.drop_collection(collection)
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            for field, options in fields.items():
                kind = getattr(self._pymilvus.DataType, options["type"])
                schema.add_field(field, kind, **{name: value for name, value in options.items() if name != "type"})
            params = client.prepare_index_params()
            params.add_index(**index)
            client.create_collection(collection, schema=schema, index_params=params, consistency_level="Strong")


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version.

    >>> _numbers("v2.3.5-lite"), _numbers("3.0.2")
    ((2, 3), (3, 0))
    """
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
