"""`avnas index`: build an index of codes, add to it, remove from it, show it."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from avhash_nas.cli.counting import counting
from avhash_nas.cli.parser import Choice, Parser, make_parser
from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError

if TYPE_CHECKING:
    from avhash_nas.retrieval import CodeStore

KIND = {"kind": Choice("avhash_nas.retrieval.IndexKind", ("avhash_nas.retrieval",), default="flat")}
"""For `make_parser`: flat, mih, ivf, hnsw, or package.module.Class."""

_USAGE = """usage: avnas index [build] --codes FILE [FILE ...] --store STORE [--kind=flat|mih|ivf|hnsw] [--replace]
       avnas index add --codes FILE [FILE ...] --store STORE [--replace]
       avnas index remove --store STORE (--ids ID [ID ...] | --ids_file FILE)
       avnas index show --store STORE [--json]

  build   build an index of the codes that `avnas encode` or `avnas fit` wrote
  add     add codes of the same network
  remove  remove videos by their ids
  show    print its contents

STORE is a file, or milvus:URI with an optional #collection (milvus:codes.db, milvus:http://host:19530#videos), or
postgresql://user@host/database with an optional #table.
`avnas index ACTION --help` lists an action's options."""


def run(arguments: Sequence[str]) -> int:
    """Run the command."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if arguments else 2
    actions = {"build": _build, "add": _add, "remove": _remove, "show": _show}
    if arguments[0].startswith("-"):
        return _build(arguments)
    if arguments[0] not in actions:
        raise AvnasError(f"there is no {arguments[0]!r}; the actions are {', '.join(actions)}")
    return actions[arguments[0]](arguments[1:])


def _build(arguments: Sequence[str]) -> int:
    from avhash_nas.retrieval import IndexKind, create_store

    parser = _parser("build", "Build an index of codes.", KIND)
    _add_codes(parser, "replace the existing index once the new one is complete")
    parser.add_argument("--values", type=bool, default=True, help="keep the networks' outputs if the codes have them")
    parser.add_argument("--frames", type=bool, default=True, help="keep codes of time steps if the codes have them")
    parser.add_subclass_arguments(
        IndexKind,
        "kind",
        help="flat, mih: exact; ivf, hnsw: approximate; --kind.help=NAME lists the options of one",
    )
    options = parser.make(parser.parse(arguments))
    codes = _codes(options)
    codes = replace(
        codes,
        values=codes.values if options["values"] else None,
        frames=codes.frames if options["frames"] else None,
    )
    started = time.perf_counter()
    with counting("index", "codes") as progress:
        store = create_store(options.store, codes, options.kind, options.replace, progress)
    print(f"{_summary(store)}; {time.perf_counter() - started:.1f} s")
    return 0


def _add(arguments: Sequence[str]) -> int:
    from avhash_nas.retrieval import open_store

    parser = _parser("add", "Add codes of the same network to an index.")
    _add_codes(parser, "replace the codes of ids that are in the index")
    options = parser.parse(arguments)
    store = open_store(options.store)
    codes = _codes(options)
    before = len(store)
    with counting("index", "codes") as progress:
        store.add(codes, options.replace, progress)
    replaced = before + len(codes) - len(store)
    print(f"{_summary(store)}; {len(codes) - replaced:,} added, {replaced:,} replaced")
    return 0


def _remove(arguments: Sequence[str]) -> int:
    from avhash_nas.retrieval import open_store

    parser = _parser("remove", "Remove videos from an index.")
    parser.add_argument("--ids", type=str, nargs="+", default=[], help="ids of videos")
    parser.add_argument("--ids_file", type=str, help="text file with one id per line")
    options = parser.parse(arguments)
    ids = list(dict.fromkeys([*options.ids, *_lines(options.ids_file)]))
    if not ids:
        raise AvnasError("give --ids ID [ID ...], or --ids_file FILE")
    store = open_store(options.store)
    removed = store.remove(ids)
    print(f"{_summary(store)}; {removed:,} removed, {len(ids) - removed:,} were not there")
    return 0


def _show(arguments: Sequence[str]) -> int:
    from avhash_nas.retrieval import open_store

    parser = _parser("show", "Print the contents of an index.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse(arguments)
    facts = _facts(open_store(options.store))
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    table = Table(show_header=False, title=options.store)
    facts["classes"] = f"{len(facts['classes'])}: {', '.join(facts['classes'])}"
    facts["frames"] = " x ".join(map(str, facts["frames"] or ())) or False
    facts["extraction"] = json.dumps(facts["extraction"]) if facts["extraction"] else "not known"
    facts["options"] = ", ".join(f"{name}={value}" for name, value in facts["options"].items()) or "none"
    facts["bytes"] = decimal(facts["bytes"]) if facts["bytes"] else "not known"
    for name, value in facts.items():
        table.add_row(name, {True: "kept", False: "not kept"}[value] if isinstance(value, bool) else str(value))
    Console().print(table)
    return 0


def _facts(store: "CodeStore") -> dict[str, Any]:
    header = store.header
    described = header.kind.to_dict()
    return {
        "videos": len(store),
        "bits": header.bits,
        "network": header.fingerprint,
        "kind": described["class"].rpartition(".")[2].lower(),
        "options": described["arguments"],
        "values": header.values,
        "frames": header.frames,
        "classes": list(header.class_names),
        "extraction": header.extraction,
        "bytes": store.size(),
    }


def _summary(store: "CodeStore") -> str:
    facts = _facts(store)
    words = [f"{facts['videos']:,} videos", f"{facts['bits']} bits", f"network {facts['network']}", facts["kind"]]
    if facts["bytes"]:
        words.append(decimal(facts["bytes"]))
    return f"{store.where}: {', '.join(words)}"


def _parser(action: str, description: str, choices: dict[str, Choice] | None = None) -> Parser:
    parser = make_parser(f"index {action}", description, choices)
    parser.add_argument(
        "--store", type=str, required=True, help="a file, milvus:URI#collection or postgresql:URI#table"
    )
    return parser


def _add_codes(parser: Parser, replacing: str) -> None:
    parser.add_argument("--codes", type=str, nargs="+", required=True, help="files that `avnas encode` or `fit` wrote")
    parser.add_argument("--replace", action="store_true", help=replacing)


def _codes(options: Namespace) -> CodeSet:
    """The codes of all files, as one set."""
    from avhash_nas.retrieval import join_codes

    return join_codes([CodeSet.load(file) for file in options.codes], options.codes)


def _lines(file: str | None) -> list[str]:
    """The non-empty lines of a text file."""
    if file is None:
        return []
    try:
        return [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise AvnasError(f"--ids_file {file}: cannot be read: {error}") from error
