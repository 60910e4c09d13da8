"""Features from video files: decoding, extractors of both modalities, and extraction of whole folders."""

from avhash_nas.extraction.extractor import AudioExtractor, Extractor, VisualExtractor

__all__ = [
    "AudioExtractor",
    "Extractor",
    "VisualExtractor",
]
