"""Tables of text, for Markdown and the terminal."""

from dataclasses import dataclass, field

import rich.table


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Title above the table.
        columns: Column titles; the first column is left-aligned, the others right-aligned.
        rows: Rows of one text for each column.
        notes: Notes below the table.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)

    def to_markdown(self) -> str:
        r"""The table as Markdown, with its title as a heading.

        >>> print(Table("Scores", ["entry", "score"], [["a|b", "0.5"]], ["One seed."]).to_markdown())
        ## Scores
        <BLANKLINE>
        | entry | score |
        |---|--:|
        | a\|b | 0.5 |
        <BLANKLINE>
        - One seed.
        """
        lines = [self.columns, *self.rows]
        body = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
        body.insert(1, "|---" + "|--:" * (len(self.columns) - 1) + "|")
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([f"## {self.title}", "", *body, *notes])

    def to_rich(self) -> rich.table.Table:
        """The table for a terminal."""
        table = rich.table.Table(title=self.title, caption="\n".join(self.notes), caption_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left", no_wrap=not index)
        for row in self.rows:
            table.add_row(*row)
        return table
