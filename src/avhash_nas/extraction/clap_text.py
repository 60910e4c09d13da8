"""Text vectors from CLAP's text encoder."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from avhash_nas.extraction.pretrained import from_pretrained, transformers
from avhash_nas.extraction.text_encoder import PretrainedTextEncoder


class CLAPText(PretrainedTextEncoder):
    """The text embedding of CLAP (Wu et al., ICASSP 2023), in the space of its audio embedding (`CLAP`).

    Args:
        checkpoint: A local folder with config.json, model.safetensors and the tokenizer's files, or a name of the
            Hugging Face hub, which is downloaded once.
        options: See ``PretrainedTextEncoder``.
    """

    def __init__(self, checkpoint: str = "laion/clap-htsat-fused", **options: Any) -> None:
        super().__init__(checkpoint, **options)

    @override
    def _load(self) -> tuple[Any, Any, list[str]]:
        auto = transformers()
        model, missing = from_pretrained(auto.ClapTextModelWithProjection, self.checkpoint)
        return model, auto.AutoTokenizer.from_pretrained(self.checkpoint), missing

    @override
    def _takes(self) -> int:
        config = self.loaded().model.config  # RoBERTa counts positions from pad + 1
        return int(config.max_position_embeddings) - int(config.pad_token_id) - 1

    @override
    def _output(self, inputs: Mapping[str, Any]) -> Any:
        named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        return self.loaded().model(**named).text_embeds
