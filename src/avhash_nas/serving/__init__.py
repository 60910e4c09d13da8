"""Search by video file, id or code, in Python and over HTTP."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.schemas import ServiceLimits
from avhash_nas.serving.video_search import Answer, VideoSearch

if TYPE_CHECKING:
    from avhash_nas.serving.app import create_app
    from avhash_nas.serving.service import Service

__all__ = ["Answer", "Catalogue", "Service", "ServiceLimits", "VideoSearch", "create_app"]


def __getattr__(name: str) -> Any:
    """Imports video decoding and torch on first use: a query by id needs neither."""
    if name in (modules := {"create_app": "app", "Service": "service"}):
        return getattr(import_module(f"avhash_nas.serving.{modules[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
