"""A connection to Milvus whose errors are one line."""

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
_SECONDS = 30.0  # to wait for a server that does not answer


def split_place(place: str) -> tuple[str, str]:
    """URI and collection of `URI#collection`.

    Args:
        place: What follows `milvus:`.

    Raises:
        AvnasError: The URI is neither a server's nor a local file's, or the collection's name is none.

    >>> split_place("http://localhost:19530#videos"), split_place("codes.db")
    (('http://localhost:19530', 'videos'), ('codes.db', 'avhash'))
    """
    uri, _, collection = place.partition("#")
    collection = collection or _DEFAULT_COLLECTION
    if "://" not in uri and not uri.endswith(_LOCAL):
        raise AvnasError(f"milvus:{place}: takes a file whose name ends with .db, or a server, http://host:19530")
    if not re.fullmatch(r"[A-Za-z_]\w{0,200}", collection, re.ASCII):
        raise AvnasError(f"milvus:{place}: a collection's name has letters, digits and _ and begins with no digit")
    return uri, collection


def is_local(uri: str) -> bool:
    """Whether a URI is a file of Milvus Lite's."""
    return "://" not in uri


class MilvusServer:
    """A connection.

    Args:
        uri: A server (`http://host:19530`), or a local file whose name ends with `.db`, which is made if missing.

    Raises:
        AvnasError: There is no connection.
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
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs the stack of every error that it raises
        with self.asked():
            self.client = self._pymilvus.MilvusClient(uri=uri, timeout=_SECONDS)

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """The client; what it raises within the block becomes an AvnasError."""
        grpc = importlib.import_module("grpc")
        try:
            yield getattr(self, "client", None)
        except (self._pymilvus.MilvusException, grpc.RpcError, OSError) as error:
            reason = " ".join(str(getattr(error, "message", "") or error).split())
            hint = " (has another process opened the file?)" if "Open local" in reason else ""
            raise AvnasError(f"milvus:{self.uri}: {reason}{hint}") from error

    def collection(self, name: str, fields: dict[str, dict[str, Any]], index: dict[str, Any]) -> None:
        """Make a collection; one of that name is dropped.

        Args:
            name: Its name.
            fields: What Milvus takes for each field; types by name.
            index: What Milvus takes for the index of the vector field.
        """
        with self.asked() as client:
            if client.has_collection(name):
                client.drop_collection(name)
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            for field, options in fields.items():
                schema.add_field(field, getattr(self._pymilvus.DataType, options["type"]), **_without_type(options))
            params = client.prepare_index_params()
            params.add_index(**index)
            client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")


def _without_type(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "type"}
