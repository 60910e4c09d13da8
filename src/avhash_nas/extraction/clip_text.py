"""Text vectors from CLIP's text encoder."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from avhash_nas.extraction.pretrained import from_pretrained, transformers
from avhash_nas.extraction.text_encoder import PretrainedTextEncoder


class CLIPText(PretrainedTextEncoder):
    """The text embedding of CLIP (Radford et al., 2021), in the space of its image embedding (`CLIP`).

    The hidden vector at the end token, projected; not normalized. EERCF takes 32 tokens and cuts longer texts:
    `tokens=32, truncate=True`.

    Args:
        checkpoint: A local folder with config.json, model.safetensors and the tokenizer's files, or a name of the
            Hugging Face hub, which is downloaded once.
        options: See ``PretrainedTextEncoder``.
    """

    def __init__(self, checkpoint: str = "openai/clip-vit-large-patch14-336", **options: Any) -> None:
        super().__init__(checkpoint, **options)

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        auto = transformers()
        model, missing = from_pretrained(auto.CLIPTextModelWithProjection, self.checkpoint)
        return model, auto.AutoTokenizer.from_pretrained(self.checkpoint), missing

    @override
    def _takes(self) -> int:
        return int(self.loaded().model.config.max_position_embeddings)

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        return self.loaded().model(**named).text_embeds
