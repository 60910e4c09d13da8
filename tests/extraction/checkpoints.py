"""Tiny models with random weights, saved as checkpoints of the hub are."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
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


def save_clip_text(folder: Path, seed: int = 0) -> Path:
    """CLIP with a tokenizer of letters; texts of up to 12 tokens."""
    save_clip(folder, seed)
    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    # As in OpenAI's checkpoints: the end token has the highest id, and eos_token_id is a wrong 2.
    text = {**TEXT, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 12}
    config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=12)
    config.text_config.projection_dim = config.vision_config.projection_dim = 12
    transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    return folder


def save_sentence_transformer(folder: Path, seed: int = 0, modules: Sequence[str] = ("Pooling", "Normalize")) -> Path:
    """A small BERT with the files of a sentence-transformers folder; texts of up to 10 tokens."""
    torch.manual_seed(seed)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "cat", "barks", "runs", "der", "hund"]
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=20,
    )  # fmt: skip
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    listed = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    for number, kind in enumerate(modules, 1):
        listed.append({"type": f"sentence_transformers.models.{kind}", "path": f"{number}_{kind}"})
        (folder / f"{number}_{kind}").mkdir()
        settings = {"Pooling": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "Normalize": {}}
        settings["Dense"] = {"activation_function": "torch.nn.modules.activation.Tanh"}
        (folder / f"{number}_{kind}" / "config.json").write_text(json.dumps(settings.get(kind, {})))
        if kind == "Dense":
            save_file(
                {"linear.weight": torch.randn(6, 16), "linear.bias": torch.randn(6)},
                folder / f"{number}_{kind}" / "model.safetensors",
            )
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 10}))
    return folder


def save_clap(folder: Path, seed: int = 0) -> Path:
    """Both towers of CLAP with fusion, as the hub's default holds them; projection to 12 dimensions."""
    torch.manual_seed(seed)
    audio = {
        "spec_size": 64, "num_mel_bins": 16, "window_size": 2, "hidden_size": 16, "patch_embeds_hidden_size": 8,
        "depths": [1, 1], "num_attention_heads": [2, 2], "num_hidden_layers": 2, "enable_fusion": True,
        "projection_hidden_size": 16, "aff_block_r": 2,
    }  # fmt: skip
    text = {**TEXT, "max_position_embeddings": 64, "projection_hidden_size": 16, "pad_token_id": 1}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)
    config.audio_config.projection_dim = config.text_config.projection_dim = 12
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapFeatureExtractor(feature_size=16, max_length_s=2).save_pretrained(folder)
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *letters]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    return folder
