"""Operators: the candidates of the search space's cells."""

from avhash_nas.operators.attention import SelfAttention, TransformerLayer
from avhash_nas.operators.binary import Add, GatedAttention, Hadamard
from avhash_nas.operators.channel_time_gate import ChannelTimeGate
from avhash_nas.operators.convolution import Conv3, Conv4, Conv5
from avhash_nas.operators.cross import AlignedCrossSSM, CrossAttention, CrossSSM, SelfFusionAttention, SelfFusionSSM
from avhash_nas.operators.feedforward import MLP, FeedForward
from avhash_nas.operators.find import find_operator, operator_names
from avhash_nas.operators.hybrid_attention import HybridAttention
from avhash_nas.operators.operator import Operator
from avhash_nas.operators.ssm import MambaBlock, SelfSSM
from avhash_nas.operators.unary import LayerNorm, SiLU, Skip
from avhash_nas.operators.weighted_exchange import WeightedExchange

__all__ = [
    "MLP",
    "Add",
    "AlignedCrossSSM",
    "ChannelTimeGate",
    "Conv3",
    "Conv4",
    "Conv5",
    "CrossAttention",
    "CrossSSM",
    "FeedForward",
    "GatedAttention",
    "Hadamard",
    "HybridAttention",
    "LayerNorm",
    "MambaBlock",
    "Operator",
    "SelfAttention",
    "SelfFusionAttention",
    "SelfFusionSSM",
    "SelfSSM",
    "SiLU",
    "Skip",
    "TransformerLayer",
    "WeightedExchange",
    "find_operator",
    "operator_names",
]
