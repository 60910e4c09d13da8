"""Tiny models with random weights, saved as checkpoints of the hub are."""

from pathlib import Path

import torch
import transformers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

VISION = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99,
    "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def save_clip(folder: Path, seed: int = 0) -> Path:
    """Both towers of CLIP, as OpenAI's checkpoints hold them; projection to 12 dimensions."""
    torch.manual_seed(seed)
    config = transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
    config.vision_config.projection_dim = 12
    transformers.CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)
    return folder


def save_ast(folder: Path, seed: int = 0) -> Path:
    """A classifier, as the checkpoint finetuned on AudioSet is; 16 dimensions, spectrograms of 0.64 s."""
    torch.manual_seed(seed)
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_length=64, num_mel_bins=16, patch_size=8, frequency_stride=8, time_stride=8,
    )  # fmt: skip
    transformers.ASTForAudioClassification(config).save_pretrained(folder)
    transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=16).save_pretrained(folder)
    return folder
