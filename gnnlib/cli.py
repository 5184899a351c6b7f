"""python -m gnnlib catalog | graph | train | runs: the same functions as the pages, for scripts and clusters.

Exit status: 0 done, 1 something unexpected, 2 input that cannot be used (one sentence on standard error says why).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from gnnlib.catalog.table import CatalogSpec
from gnnlib.errors import InputError
from gnnlib.graph.graph import GraphSpec
from gnnlib.models.spec import ModelSpec
from gnnlib.training.run import Run, finite, list_runs, load_run
from gnnlib.training.spec import RunSpec

S = TypeVar("S", bound=BaseModel)

# What the bundled sample is trained for where nothing else is said: its planted truth reaches 3 Mpc.
SAMPLE_TASK: dict[str, Any] = {
    "target": "log10(stellar_mass)",
    "features": ("log10(halo_mass)", "log10(v_max)", "is_central"),
    "graph": {"method": "radius", "radius": 3.0},
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. arguments: without the program's name; None takes those of the process. Returns the exit
    status.
    """
    try:
        options = _parser().parse_args(arguments)
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # libraries' remarks; what concerns the reader is in the output
            options.command(options)
    except InputError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe (`| head`) has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        with tempfile.NamedTemporaryFile("w", prefix="filament-", suffix=".log", delete=False) as log:
            log.write(traceback.format_exc())
        print(
            f"Something unexpected went wrong ({type(error).__name__}); the details are in {log.name}.", file=sys.stderr
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m gnnlib", description="Catalogs to graphs to graph neural networks.")
    commands = parser.add_subparsers(required=True, metavar="catalog|graph|train|runs", parser_class=_Parser)

    output = _Parser(add_help=False)
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    reading = _Parser(add_help=False)
    reading.add_argument("path", metavar="PATH", help='a catalog file or folder, or "sample" for the bundled one')
    reading.add_argument("--where", metavar="EXPR", help="a cut, e.g. 'mvir > 1e11'")
    reading.add_argument("--h", type=float, help="the Hubble parameter that lengths and masses per h are divided by")
    reading.add_argument("--box", metavar="L", help="side of the box, or Lx,Ly,Lz; implies --periodic")
    reading.add_argument("--periodic", action=argparse.BooleanOptionalAction, help="do the sides of the box join?")

    linking = _Parser(add_help=False)
    linking.add_argument("--method", choices=("radius", "knn"), help="default: radius, or knn where only --k is given")
    linking.add_argument("--radius", type=float, help="the linking length, in the catalog's length unit")
    linking.add_argument("--k", type=int, help="neighbours of each object (method knn)")
    linking.add_argument("--self-loops", action="store_true", help="join each object to itself, too")

    command = commands.add_parser("catalog", parents=[reading, output], help="what a catalog holds")
    command.set_defaults(command=_catalog)

    command = commands.add_parser("graph", parents=[reading, linking, output], help="build a graph and count it")
    command.set_defaults(command=_graph)

    command = commands.add_parser("train", parents=[reading, linking, output], help="train a model and its baselines")
    command.set_defaults(command=_train)
    command.add_argument("--target", metavar="COL", help="the column or expression to predict; the sample has its own")
    command.add_argument("--features", metavar="A,B", help="columns or expressions to predict it from")
    command.add_argument("--preset", help="settings to start from; options given here go before them")
    command.add_argument("--model", help="attention, message_passing or pointwise")
    command.add_argument("--folds", type=int)
    command.add_argument("--split", choices=("slabs", "blocks", "group", "random"), help="random leaks")
    command.add_argument("--group", metavar="COL", help="column of group ids; implies --split group")
    command.add_argument("--buffer", type=float, help="distance between test and training objects")
    command.add_argument("--epochs", type=int)
    command.add_argument("--seed", type=int)
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))
    command.add_argument("--runs-dir", type=Path, help="where runs are kept (default: $FILAMENT_RUNS or ./runs)")

    command = commands.add_parser("runs", parents=[output], help="list the runs")
    command.set_defaults(command=_runs)
    command.add_argument("--runs-dir", type=Path, help="where runs are kept (default: $FILAMENT_RUNS or ./runs)")
    return parser


def _catalog(options: argparse.Namespace) -> None:
    from gnnlib.catalog.read import read_catalog
    from gnnlib.catalog.summary import summarize

    summary = json.loads(summarize(read_catalog(_catalog_spec(options))).to_json())
    if options.json:
        return _print_json(summary)
    box = summary["box"]
    print(f"{summary['rows']} rows; box {box if box else 'none'}{', periodic' if summary['periodic'] else ''}")
    columns = [[column[key] for key in ("name", "unit", "dtype", "missing")] for column in summary["columns"]]
    _print_table(["column", "unit", "type", "missing"], columns)
    for role, value in dict(summary["roles"]).items():
        if value:
            print(f"{role}: {value if isinstance(value, str) else ', '.join(value)}")
    _print_warnings(summary["warnings"])


def _graph(options: argparse.Namespace) -> None:
    from gnnlib.catalog.read import read_catalog
    from gnnlib.graph.build import build_graph
    from gnnlib.graph.diagnostics import summarize

    spec = _graph_spec(options, {})
    catalog = read_catalog(_catalog_spec(options))
    summary = summarize(build_graph(catalog, spec))
    if options.json:
        return _print_json({**summary, "warnings": list(catalog.warnings)})
    _print_table(["", ""], [[name.replace("_", " "), _short(value)] for name, value in summary.items()])
    _print_warnings(catalog.warnings)


def _train(options: argparse.Namespace) -> None:
    from gnnlib.training.worker import execute, train, was_launched

    if (Path(options.path) / "spec.json").is_file():
        run = load_run(Path(options.path))
        execute(run, report=None if was_launched(run) else _say)
    else:
        run = train(_run_spec(options), options.runs_dir, _say)
    status = run.status
    results = run.results
    if status.state != "finished":
        raise KeyboardInterrupt
    summary = {
        "run": run.id,
        "task": results["task"],
        "folds": len(results["folds"]),
        "metrics": results["metrics"],
        "baselines": results["baselines"],
        "out_of_fold": str(run.folder / "predictions.parquet"),
        "device": results["device"],
        "seconds": results["seconds"],
        "warnings": results["warnings"],
    }
    if options.json:
        return _print_json(summary)
    models = {results["model"]: results["metrics"], **results["baselines"]}
    names = list(results["metrics"])
    rows = [
        [model, *(f"{_short(metrics[name]['mean'])} ± {_short(metrics[name]['std'])}" for name in names)]
        for model, metrics in models.items()
    ]
    print(f"Run {run.id}: {results['target']}, mean ± deviation over {len(results['folds'])} folds")
    _print_table(["", *names], rows)
    print(f"Out-of-fold predictions: {summary['out_of_fold']}")


def _runs(options: argparse.Namespace) -> None:
    rows = [_describe(run) for run in list_runs(options.runs_dir)]
    if options.json:
        return _print_json({"runs": rows})
    if not rows:
        print("There are no runs yet.")
        return None
    columns = ("id", "state", "target", "model", "message")
    _print_table(list(columns), [[row[name] for name in columns] for row in rows])
    return None


def _describe(run: Run) -> dict[str, Any]:
    status = run.status
    known = run.spec if status.state != "damaged" else None
    return {
        "id": run.id,
        "state": status.state,
        "message": status.message,
        "progress": status.progress,
        "name": known.name if known else "",
        "target": known.target if known else "",
        "model": known.model.name if known else "",
        "folder": str(run.folder),
    }


def _catalog_spec(options: argparse.Namespace) -> CatalogSpec:
    box = None
    if options.box is not None:
        try:
            sides = [float(side) for side in options.box.split(",")]
        except ValueError:
            sides = []
        if len(sides) not in (1, 3) or not all(0 < side < float("inf") for side in sides):
            raise InputError(f"--box '{options.box}' is not a side or three sides separated by commas; write e.g. 75.")
        box = tuple(sides * 3 if len(sides) == 1 else sides)
    periodic = options.periodic if options.periodic is not None or box is None else True
    return _build(CatalogSpec, path=options.path, where=options.where, h=options.h, box=box, periodic=periodic)


def _graph_spec(options: argparse.Namespace, preset: Mapping[str, Any]) -> GraphSpec:
    """The preset's graph with what the command line says; a method named anew forgets the other method's measure."""
    method = options.method
    if method is None and (options.radius is None) != (options.k is None):
        method = "radius" if options.k is None else "knn"
    fields = {**preset, **_given(method=method, radius=options.radius, k=options.k)}
    method = fields.setdefault("method", "radius")
    needed, other = ("radius", "k") if method == "radius" else ("k", "radius")
    if fields.get(needed) is None:
        raise InputError(f"The method {method} needs --{needed}.")
    if getattr(options, other) is not None:
        raise InputError(f"--{other} does nothing with the method {method}; leave it out or change --method.")
    fields[other] = None
    return _build(GraphSpec, **fields, **({"self_loops": True} if options.self_loops else {}))


def _run_spec(options: argparse.Namespace) -> RunSpec:
    from gnnlib.training.presets import PRESETS

    preset = SAMPLE_TASK if options.path == "sample" else {}
    if options.preset is not None:
        if options.preset not in PRESETS:
            raise InputError(f"There is no preset '{options.preset}'; choose one of {', '.join(PRESETS)}.")
        preset = {**preset, **_plain(PRESETS[options.preset])}
    fields = {name: value for name, value in preset.items() if name not in ("catalog", "graph", "model")}
    fields |= _given(
        preset=options.preset,
        target=options.target,
        features=tuple(split_list(options.features)) if options.features is not None else None,
        folds=options.folds,
        split=options.split or ("group" if options.group else None),
        group=options.group,
        buffer=options.buffer,
        epochs=options.epochs,
        seed=options.seed,
        device=options.device,
    )
    for name in ("target", "features"):
        if not fields.get(name):
            raise InputError(f"Training needs --{name}; `python -m gnnlib catalog {options.path}` lists the columns.")
    return _build(
        RunSpec,
        catalog=_catalog_spec(options),
        graph=_graph_spec(options, preset.get("graph", {})),
        model=_build(ModelSpec, **{**preset.get("model", {}), **_given(name=options.model)}),
        **fields,
    )


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


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _plain(value: Any) -> Any:
    """Specs inside a preset as plain mappings of the fields that were set."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _build(kind: Callable[..., S], **fields: Any) -> S:
    """A spec, its validation error as one sentence."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + re.sub("_", "-", str(first["loc"][0]))
        raise InputError(f"{name} is {first['input']!r}: {first['msg'].lower()}.") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(finite(value), allow_nan=False))


def _print_warnings(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        _say(f"Warning: {sentence}")


def _print_table(header: list[str], rows: list[list[Any]]) -> None:
    cells = [header, *([str(cell) if cell is not None else "" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells if any(header) else cells[1:]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _short(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
