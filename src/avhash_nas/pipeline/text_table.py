"""The scores of captions as a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

_RECALLS = {"values": "coarse vectors", "codes": "codes", "all": "every video reranked"}


def text_table(text: Mapping[str, Any], bits: int) -> Table:
    """R@K (`hit@K`), median and mean rank from captions to videos and back.

    Args:
        text: As `avhash_nas.training.text_scores.text_scores` gives it.
        bits: Code length q.
    """
    title = f"{text['captions']:,} captions and {text['videos']:,} videos of test, {bits} bits"
    table = Table(title=title)
    for name in ("recall", "rerank", "R@1", "R@5", "R@10", "MdR", "MnR", "video to text R@1", "multiply-adds a pair"):
        table.add_column(name, justify="right" if len(table.columns) > 1 else "left")
    for recall, ways in text["scores"].items():
        for way, scores in ways.items():
            found, back = scores["text_to_video"], scores["video_to_text_by_video"]
            hits = (f"{100 * found[f'hit@{k}']:.1f}" for k in (1, 5, 10))
            cost = text["cost"]["counted"].get("all" if recall == "all" else way, text["cost"]["published"]["alone"])
            shown = "" if way == "alone" else way
            cells = (
                *hits,
                f"{found['median_rank']:g}",
                f"{found['mean_rank']:.1f}",
                f"{100 * back['hit@1']:.1f}",
                f"{cost:,.0f}",
            )
            table.add_row(_RECALLS[recall], shown, *cells)
    size = text["cost"]["bytes"]
    table.caption = (
        f"bytes a video: {size['values']:,} with coarse vectors and time steps, {size['codes']:,} with codes and time "
        f"steps, {size['codes alone']:,} of codes alone"
    )
    return table
