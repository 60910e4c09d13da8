"""The audio-visual network, as supernet and as plain network, for hashing and for parsing.

`audio_visual.AudioVisualNetwork` is the supernet where its space has choices; `mixed_cell.MixedCell` is one cell of it.
`parsing_network.ParsingNetwork` is what says which classes are heard and seen in each time step.
"""

from avhash_nas.networks.audio_visual import AudioVisualNetwork, network_graph
from avhash_nas.networks.audio_visual_parser import AudioVisualParser
from avhash_nas.networks.batch_norm import BatchNorm
from avhash_nas.networks.binarizers import hard_sign, identity_sign
from avhash_nas.networks.compiling import compile_network, uncompile_network
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.latency import LatencyTable, measure_latency, measure_network
from avhash_nas.networks.mmil import MMILHead
from avhash_nas.networks.modalities import features_dim, features_of, side_by_side
from avhash_nas.networks.parsing_network import Parsing, ParsingNetwork
from avhash_nas.networks.pruning import prune
from avhash_nas.networks.route import Choice, Mixture, Route, Routes, mixture_route
from avhash_nas.networks.routed_network import RoutedNetwork
from avhash_nas.networks.searchable import SearchableNetwork
from avhash_nas.networks.text_network import TextHashNetwork, TextViews, VideoViews
from avhash_nas.networks.text_paired import TextPaired
from avhash_nas.networks.video_network import VideoNetwork

__all__ = [
    "AudioVisualNetwork",
    "AudioVisualParser",
    "BatchNorm",
    "Choice",
    "CodesAndSteps",
    "HashLayer",
    "HashNetwork",
    "LatencyTable",
    "MMILHead",
    "Mixture",
    "Parsing",
    "ParsingNetwork",
    "Route",
    "RoutedNetwork",
    "Routes",
    "SearchableNetwork",
    "TextHashNetwork",
    "TextPaired",
    "TextViews",
    "VideoNetwork",
    "VideoViews",
    "compile_network",
    "features_dim",
    "features_of",
    "hard_sign",
    "identity_sign",
    "measure_latency",
    "measure_network",
    "mixture_route",
    "network_graph",
    "prune",
    "side_by_side",
    "uncompile_network",
]
