"""Answering queries: from a video file, an id or a code to the videos most like it, in Python and over HTTP."""

from typing import TYPE_CHECKING, Any

from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.schemas import ServiceLimits
from avhash_nas.serving.video_search import Answer, VideoSearch

if TYPE_CHECKING:
    from avhash_nas.serving.app import create_app
    from avhash_nas.serving.service import Service

__all__ = ["Answer", "Catalogue", "Service", "ServiceLimits", "VideoSearch", "create_app"]


def __getattr__(name: str) -> Any:
    """Imports what decodes videos, and torch with it, when it is first asked for: a query by id needs neither."""
    if name == "create_app":
        from avhash_nas.serving.app import create_app

        return create_app
    if name == "Service":
        from avhash_nas.serving.service import Service

        return Service
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
