"""The base class of text encoders: from captions and queries to vectors."""

import importlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import Extractor, Vectors
from avhash_nas.extraction.pretrained import PretrainedExtractor


class TextEncoder(Extractor):
    """From texts to vectors.

    `text.h5` and `text_encoder.json` of a model hold `to_dict()`, from which `from_dict` makes the same encoder again.
    """

    _expected: str = ""

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Vectors:
        """One vector per text.

        Args:
            texts: At least one.

        Returns:
            (n, dim).

        Raises:
            AvnasError: A text is longer than the encoder takes.
        """

    @property
    def limit(self) -> int | None:
        """The number of tokens that the encoder takes; None for any number, or if longer texts are cut."""
        return None

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, where there is a limit."""
        return [0] * len(texts)

    def prepare(self) -> Self:
        """Loads the weights and compares them with those of the record that the encoder was made from.

        Raises:
            AvnasError: They cannot be loaded, or are others.
        """
        if self._expected and self.fingerprint() != self._expected:
            raise AvnasError(
                f"text encoder {type(self).__name__} {self.arguments()}: its weights are {self.fingerprint()}, and the "
                f"captions' vectors are from {self._expected}; load the same weights, or train on new vectors"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Class path, arguments and digest of the weights, as JSON values."""
        kind = type(self)
        path = f"{kind.__module__}.{kind.__qualname__}"
        return {"class": path, "arguments": self.arguments(), "weights": self._expected or self.fingerprint()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "TextEncoder":
        """Inverse of `to_dict`. Loads no weights: `prepare` does so and compares them with the record.

        Raises:
            AvnasError: The record is invalid or unknown to this version.
        """
        module, _, name = str(record.get("class")).rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
            if not (isinstance(kind, type) and issubclass(kind, cls)):
                raise AvnasError(f"text encoder: {module}.{name} is not a {cls.__name__}")
            encoder = kind(**record["arguments"])
        except (ImportError, AttributeError, ValueError, KeyError, TypeError) as error:
            raise AvnasError(f"text encoder: {module}.{name} cannot be created: {error}") from error
        encoder._expected = str(record.get("weights", ""))
        return encoder


class PretrainedTextEncoder(PretrainedExtractor, TextEncoder):
    """A text encoder that loads a checkpoint of transformers on first use.

    Args:
        checkpoint: A local folder, or a name of the Hugging Face hub, which is downloaded once.
        tokens: Number of tokens that it takes, start and end included; None for what the checkpoint takes.
        truncate: Cut longer texts at their end. By default they are refused.
        options: See ``PretrainedExtractor``.
    """

    def __init__(self, checkpoint: str, tokens: int | None = None, *, truncate: bool = False, **options: Any) -> None:
        super().__init__(checkpoint, **options)
        if tokens is not None and tokens < 3:
            raise AvnasError(f"tokens={tokens} must be at least 3: start, a word and end")
        self.tokens = tokens
        self.truncate = truncate

    @override
    def __call__(self, texts: Sequence[str]) -> Vectors:
        return self._embed(np.array(texts, object))

    @override
    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "tokens": self.tokens, "truncate": self.truncate}

    @property
    @override
    def limit(self) -> int | None:
        return None if self.truncate else self._most_tokens()

    @override
    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self.loaded().processor(list(texts))["input_ids"]]

    @abstractmethod
    def _takes(self) -> int:
        """The number of tokens that the checkpoint takes."""

    def _most_tokens(self) -> int:
        return self._takes() if self.tokens is None else min(self.tokens, self._takes())

    @override
    def _inputs(self, batch: NDArray[Any]) -> Mapping[str, Any]:
        texts, most = batch.tolist(), self._most_tokens()
        if not self.truncate:
            counts = self.token_counts(texts)
            if max(counts) > most:
                text = texts[counts.index(max(counts))]
                raise AvnasError(
                    f"the text {text[:40]!r}... has {max(counts)} tokens, {type(self).__name__} takes {most}: shorten "
                    "it, or let the encoder cut it by its option truncate"
                )
        tokenizer = self.loaded().processor
        inputs: Mapping[str, Any] = tokenizer(
            texts, padding=True, truncation=True, max_length=most, return_tensors="pt"
        )
        return inputs

    @override
    def _example(self) -> NDArray[Any]:
        return np.array(["a"], object)
