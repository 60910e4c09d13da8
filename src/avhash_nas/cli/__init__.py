"""The command line: one file for each command, which imports heavy packages when it needs them."""

import importlib
import sys
from collections.abc import Sequence

from avhash_nas import __version__
from avhash_nas.errors import AvnasError

__all__ = ["main"]

COMMANDS = {
    "fit": "search, prune, fine-tune and test a hashing network",
    "compare": "train strategies and networks side by side, and print the paper's tables",
    "test": "evaluate a finished run again",
    "extract": "turn video files into features",
    "encode": "turn features or video files into codes",
    "index": "build and update an index of codes",
    "query": "find similar videos",
    "parse": "say what is heard and seen in a video, and when",
    "serve": "answer queries on a web page and through a JSON API",
    "report": "write a page with figures of runs",
    "synth": "write a labeled synthetic dataset",
    "data": "validate a dataset, convert features of other projects, and bring captions into it",
    "space": "print a search space, or draw an architecture",
    "latency": "measure the latency of each candidate on this machine",
    "env": "print versions, devices and the selective-scan back end",
}

_USAGE = "\n".join(
    [
        "usage: avnas COMMAND [options]",
        "",
        *(f"  {name:<7} {text}" for name, text in COMMANDS.items()),
        "",
        "`avnas COMMAND --help` lists a command's options.",
    ],
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default those of the process.

    Returns:
        Exit code: 0 for success, 1 if a run of a comparison is not finished or a video gave no features, 2 for bad
        input or options, 128 plus the signal's number for a run that a signal stopped.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"avnas {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        print(f"avnas: error: unknown command {name!r}; the commands are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return int(importlib.import_module(f"avhash_nas.cli.{name}").run(arguments[1:]))
    except AvnasError as error:
        for line in str(error).splitlines():
            print(f"avnas {name}: error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"avnas {name}: stopped", file=sys.stderr)
        return 130
