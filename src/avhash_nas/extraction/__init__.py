"""Features from video files: decoding, extractors of both modalities, and extraction of whole folders."""

from avhash_nas.extraction.character_ngrams import CharacterNgrams
from avhash_nas.extraction.clap import CLAP
from avhash_nas.extraction.clap_text import CLAPText
from avhash_nas.extraction.clip_text import CLIPText
from avhash_nas.extraction.clip_vision import CLIP
from avhash_nas.extraction.color_gradients import ColorGradients
from avhash_nas.extraction.extract_folder import Outcome, extract_folder
from avhash_nas.extraction.extraction import Extraction, VideoFeatures
from avhash_nas.extraction.extractor import AudioExtractor, Extractor, VisualExtractor
from avhash_nas.extraction.labeling import Labeling
from avhash_nas.extraction.log_mel import LogMel
from avhash_nas.extraction.media_file import Limits, MediaError, Tracks
from avhash_nas.extraction.sentence_transformer import SentenceTransformer
from avhash_nas.extraction.spectrogram_transformer import AST
from avhash_nas.extraction.text_encoder import TextEncoder
from avhash_nas.extraction.video_clip import Clip, read_clip

__all__ = [
    "AST",
    "CLAP",
    "CLIP",
    "AudioExtractor",
    "CLAPText",
    "CLIPText",
    "CharacterNgrams",
    "Clip",
    "ColorGradients",
    "Extraction",
    "Extractor",
    "Labeling",
    "Limits",
    "LogMel",
    "MediaError",
    "Outcome",
    "SentenceTransformer",
    "TextEncoder",
    "Tracks",
    "VideoFeatures",
    "VisualExtractor",
    "extract_folder",
    "read_clip",
]
