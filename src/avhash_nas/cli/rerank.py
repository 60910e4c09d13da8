"""The options `--rerank=NAME`, `--rerank.depth` and so on, which test, query and serve have in common."""

from avhash_nas.cli.names import Choice
from avhash_nas.cli.parser import Parser

RERANK = {"rerank": Choice("avhash_nas.retrieval.Rerank", ("avhash_nas.retrieval",))}
"""For `make_parser`: values, asymmetric, frames, or package.module.Class."""


def add_rerank(parser: Parser) -> None:
    """Add the options to a parser made with `RERANK` among its choices.

    `parser.make(options).rerank` is then the `Rerank`, or None where none was asked for.
    """
    from avhash_nas.retrieval import Rerank

    parser.add_subclass_arguments(
        Rerank,
        "rerank",
        required=False,
        help="compare the nearest codes once more: values, asymmetric, frames, or package.module.Class; "
        "--rerank.help=NAME lists its options; by default the order by Hamming distance stays",
    )
