"""Answering queries: from a video file, an id or a code to the videos most like it, in Python and over HTTP."""

from avhash_nas.serving.app import create_app
from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.limits import ServiceLimits
from avhash_nas.serving.service import Service
from avhash_nas.serving.video_search import Answer, VideoSearch

__all__ = ["Answer", "Catalogue", "Service", "ServiceLimits", "VideoSearch", "create_app"]
