"""What the command line says about a graph: its options, the `GraphSpec` they make, and the file it goes to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from gnnlib.cli_catalog import build
from gnnlib.errors import InputError
from gnnlib.graph.graph import EdgeFeature, Graph, GraphSpec
from gnnlib.graph.neighbors import METHODS

ALWAYS = ("periodic", "self_loops", "edge_features")  # what every method heeds
WRITES = (".pt", ".parquet", ".graphml")
# The option of a field where it is not called like it; and the method that an option alone speaks for, the first first.
OPTIONS = {"line_of_sight": "axis"}
SPEAKS = {"edges": "edge_list", "along": "cylinder", "shape": "groups", "radius": "radius", "k": "knn"}


def add_linking_options(parser: argparse.ArgumentParser) -> None:
    """Add every choice about a graph."""
    add = parser.add_argument
    add("--method", choices=tuple(METHODS), help="how objects are joined; default: what the other options speak for")
    add("--radius", type=float, help="the linking length, in the catalog's length unit; across the axis of a cylinder")
    add("--cap", type=int, metavar="N", help="of the neighbours within the radius, at most the N nearest")
    add("--k", type=int, help="neighbours of each object (method knn)")
    add("--columns", metavar="A,B", help="columns or expressions in whose standardised space knn looks for neighbours")
    add("--along", type=float, metavar="LENGTH", help="how far a cylinder reaches along its axis, each way")
    add("--axis", choices=("x", "y", "z", "radial"), help="of a cylinder: the line of sight (default: z)")
    add("--shape", choices=("clique", "star"), help="of groups: all members joined, or each to the head")
    add("--edges", metavar="FILE", help="an edge list: CSV or other text, Parquet, .npy, .npz, .pt or .graphml")
    add("--edge-ids", choices=("row_ids", "indices"), help="what the edge list names: row ids, or rows counted from 0")
    add(
        "--direction",
        choices=("directed", "symmetric", "mutual"),
        help="of edges that may go one way only: as found, both ways, or only where found both ways",
    )
    add("--self-loops", action="store_true", help="join each object to itself, too")
    add(
        "--edge-features",
        metavar="A,B",
        help=f"groups of {', '.join(get_args(EdgeFeature))}; or none (default: length,cosines,relative_velocity)",
    )


def graph_spec(options: argparse.Namespace, preset: Mapping[str, Any]) -> GraphSpec:
    """The preset's graph with what the options say; another method forgets what only the preset's method heeds.

    Raises InputError for options that are missing or that the method does not heed.
    """
    given = {name: getattr(options, OPTIONS.get(name, name)) for name in GraphSpec.model_fields if name not in ALWAYS}
    given = {name: value for name, value in given.items() if value is not None}
    if "columns" in given:
        given["columns"] = tuple(split_list(given["columns"]))
    if "edges" in given:
        given["edges"] = str(Path(given["edges"]).absolute())  # a run may be resumed from elsewhere
    before = preset.get("method", "radius")
    method = given.setdefault("method", next((SPEAKS[name] for name in SPEAKS if name in given), before))
    heeded = (*METHODS[method].needs, *METHODS[method].takes)
    for name in given:
        if name not in (*heeded, "method"):
            raise InputError(f"{_option(name)} does nothing with the method {method}; leave it out or change --method.")
    known = ALWAYS if method != before else (*heeded, *ALWAYS)
    fields = {name: value for name, value in preset.items() if name in known} | given
    for name in METHODS[method].needs:
        if fields.get(name) is None:
            raise InputError(f"The method {method} needs {_option(name)}.")
    if options.self_loops:
        fields["self_loops"] = True
    if options.edge_features is not None:
        fields["edge_features"] = _edge_features(options.edge_features)
    return build(GraphSpec, **fields)


def check_out(text: str | None) -> Path | None:
    """The file that a graph is to be written to. Raises InputError where that cannot be."""
    if text is None:
        return None
    file = Path(text)
    if file.suffix.lower() not in WRITES:
        raise InputError(f"--out '{file.name[:60]}' does not say what to write; let it end in {', '.join(WRITES)}.")
    if not file.absolute().parent.is_dir() or file.is_dir():
        raise InputError(f"--out '{text[:200]}' is not a file in a folder that is there; make the folder first.")
    return file


def write_graph(graph: Graph, file: Path) -> None:
    """A graph as its suffix says; the file appears whole. Raises InputError where it does not fit the format."""
    from gnnlib.graph import exchange
    from gnnlib.training.run import written_whole

    write = {".pt": exchange.write_pyg, ".parquet": exchange.write_parquet, ".graphml": exchange.write_graphml}
    try:
        with written_whole(file) as path:
            write[file.suffix.lower()](graph, path)
    except OSError as error:
        raise InputError(f"--out '{file}' could not be written ({error.strerror}); choose another place.") from error


def split_list(text: str) -> list[str]:
    """Names separated by commas; commas inside parentheses belong to an expression."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _edge_features(text: str) -> tuple[str, ...]:
    names = split_list(text)
    if names == ["none"]:
        return ()
    known = get_args(EdgeFeature)
    for name in names:
        if name not in known:
            raise InputError(f"--edge-features names '{name[:40]}'; choose among {', '.join(known)}, or none.")
    return tuple(dict.fromkeys(names))


def _option(field: str) -> str:
    return "--" + OPTIONS.get(field, field).replace("_", "-")
