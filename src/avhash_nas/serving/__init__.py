"""Answering queries: from a video file, an id or a code to the videos most like it."""

from avhash_nas.serving.video_search import Answer, VideoSearch

__all__ = ["Answer", "VideoSearch"]
