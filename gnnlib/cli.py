"""python -m gnnlib catalog | fetch | graph | train | predict | runs: the pages' functions, for scripts and clusters.

Exit status: 0 done, 1 something unexpected, 2 input that cannot be used (one sentence on standard error says why).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from pydantic import BaseModel

from gnnlib.catalog.sources.command import add_fetch
from gnnlib.catalog.table import CatalogSpec
from gnnlib.cli_catalog import add_reading_options, build, catalog_spec, join_values
from gnnlib.cli_graph import add_linking_options, check_out, graph_spec, split_list, write_graph
from gnnlib.errors import InputError
from gnnlib.models.spec import ModelSpec, Readout, Task
from gnnlib.training.baselines import BASELINES
from gnnlib.training.run import Run, deleted_runs, finite, list_runs, load_run, restore_run, runs_directory
from gnnlib.training.spec import RunSpec

# What the bundled sample is trained for where nothing else is said: its planted truth reaches 3 Mpc.
SAMPLE_TASK: dict[str, Any] = {
    "target": "log10(stellar_mass)",
    "features": ("log10(halo_mass)", "log10(v_max)", "is_central"),
    "graph": {"method": "radius", "radius": 3.0},
}

NO_FEATURES = "none"  # as the value of --features: objects are told apart by where they are, and by nothing else


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. arguments: without the program's name; None takes those of the process. Returns the exit
    status.
    """
    try:
        options = _parser().parse_args(join_values(sys.argv[1:] if arguments is None else arguments))
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
    commands = parser.add_subparsers(
        required=True, metavar="catalog|fetch|graph|train|predict|runs", parser_class=_Parser
    )

    output = _Parser(add_help=False)
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    reading = _Parser(add_help=False)
    add_reading_options(reading)

    linking = _Parser(add_help=False)
    add_linking_options(linking)

    command = commands.add_parser("catalog", parents=[reading, output], help="what a catalog holds")
    command.set_defaults(command=_catalog)

    add_fetch(commands, output, _Parser)

    command = commands.add_parser("graph", parents=[reading, linking, output], help="build a graph and count it")
    command.set_defaults(command=_graph)
    command.add_argument("--out", metavar="FILE", help="write the graph: .pt (PyTorch Geometric), .parquet or .graphml")

    command = commands.add_parser("train", parents=[reading, linking, output], help="train a model and its baselines")
    command.set_defaults(command=_train)
    command.add_argument("--target", metavar="COL", help="the column or expression to predict; the sample has its own")
    command.add_argument("--features", metavar="A,B", help="what to predict it from; none: positions only")
    command.add_argument(
        "--task", choices=get_args(Task), help="what is predicted: numbers or classes of nodes, pairs, whole graphs"
    )
    command.add_argument("--more-targets", metavar="A,B", help="further numbers of each node to predict beside it")
    command.add_argument(
        "--label", metavar="COL|FILE", help="of pairs: a column equal at both ends (a group id), or a file of pairs"
    )
    command.add_argument(
        "--graph-by",
        metavar="COL",
        help="the column whose values divide the rows into graphs (default in a folder of catalogs: its files)",
    )
    command.add_argument(
        "--aggregate", choices=("same", "sum", "mean", "max"), help="how the target of members becomes the graph's"
    )
    command.add_argument("--readout", choices=get_args(Readout), help="from the members of a graph to the graph")
    command.add_argument("--seeds", type=int, help="networks in the ensemble that each fold trains")
    command.add_argument("--baselines", metavar="A,B", help=f"any of {', '.join(BASELINES)}; '' for none")
    command.add_argument("--preset", help="settings to start from; options given here go before them")
    models = "attention, message_passing, transformer, egnn, tensor_product, dynamic, deepsets or pointwise"
    command.add_argument("--model", help=models)
    command.add_argument("--folds", type=int)
    command.add_argument("--split", choices=("slabs", "blocks", "group", "random"), help="random leaks")
    command.add_argument("--group", metavar="COL", help="column of group ids; implies --split group")
    command.add_argument("--buffer", type=float, help="distance between test and training objects")
    command.add_argument("--epochs", type=int)
    command.add_argument("--seed", type=int)
    command.add_argument("--batch-size", type=int, help="training rows in a step")
    command.add_argument("--learning-rate", type=float)
    command.add_argument("--schedule", choices=("one_cycle", "cosine", "step", "constant"), help="of the learning rate")
    command.add_argument("--patience", type=int, metavar="EPOCHS", help="stop where so many were no better")
    command.add_argument("--clip", type=float, help="the longest gradient (1)")
    command.add_argument("--amp", action="store_true", default=None, help="train in bfloat16 where that is safe")
    command.add_argument("--compile", action="store_true", default=None, help="with torch.compile, where that works")
    command.add_argument("--memory-gb", type=float, help="what a step may take; default: most of what is free")
    command.add_argument("--log", choices=("tensorboard", "mlflow"), help="tell the metrics to this as well")
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))
    command.add_argument("--runs-dir", type=Path, help="where runs are kept (default: $FILAMENT_RUNS or ./runs)")

    command = commands.add_parser("predict", parents=[output], help="a run's networks on another catalog")
    command.set_defaults(command=_predict)
    command.add_argument("run", metavar="RUN", help="the id or the folder of a run")
    add_reading_options(command)
    command.add_argument("--out", metavar="FILE", type=Path, required=True, help="the Parquet file to write")
    command.add_argument("--memory-gb", type=float, help="what a part may take (default: at most 1.5)")

    command = commands.add_parser("runs", parents=[output], help="list, delete and bring back runs")
    command.set_defaults(command=_runs)
    change = command.add_mutually_exclusive_group()
    change.add_argument("--delete", metavar="RUN", help="move a run to the trash")
    change.add_argument("--restore", metavar="RUN", help="bring a deleted run back")
    change.add_argument("--deleted", action="store_true", help="list the trash")
    command.add_argument("--runs-dir", type=Path, help="where runs are kept (default: $FILAMENT_RUNS or ./runs)")
    return parser


def _catalog(options: argparse.Namespace) -> None:
    from gnnlib.catalog.read import read_catalog
    from gnnlib.catalog.summary import summarize

    summary = json.loads(summarize(read_catalog(catalog_spec(options))).to_json())
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

    spec, out = graph_spec(options, {}), check_out(options.out)
    catalog = read_catalog(catalog_spec(options))
    graph = build_graph(catalog, spec)
    summary = summarize(graph)
    if out is not None:
        write_graph(graph, out)
    warnings = (*catalog.warnings, *graph.notes)
    if options.json:
        return _print_json({**summary, "warnings": list(warnings), **({"out": str(out)} if out else {})})
    _print_table(["", ""], [[name.replace("_", " "), _short(value)] for name, value in summary.items()])
    return _print_warnings(warnings)


def _train(options: argparse.Namespace) -> None:
    from gnnlib.training import distributed
    from gnnlib.training.worker import execute, train, was_launched

    with distributed.joined():
        here, among = Path(options.path), (options.runs_dir or runs_directory()) / options.path
        if (folder := next((place for place in (here, among) if (place / "spec.json").is_file()), None)) is not None:
            run = load_run(folder)
            execute(run, report=None if was_launched(run) else _say, logger=options.log)
        else:
            run = train(_run_spec(options), options.runs_dir, _say, options.log)
        if distributed.rank() > 0:
            return
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
    shown = ("coverage", "more_targets", "classes", "confusion", "pairs", "graphs")
    summary |= {name: results[name] for name in shown if name in results}
    if options.json:
        return _print_json(summary)
    print(f"Run {run.id}: {results['target']}, mean ± deviation over {len(results['folds'])} folds")
    for target, scored in {"": results, **results.get("more_targets", {})}.items():
        models = {results["model"]: scored["metrics"], **scored["baselines"]}
        names = list(scored["metrics"])
        rows = [
            [model, *(f"{_short(metrics[name]['mean'])} ± {_short(metrics[name]['std'])}" for name in names)]
            for model, metrics in models.items()
        ]
        _print_table([target, *names], rows)
    if "coverage" in results:
        covered = ", ".join(f"{share:.1%} (of {float(level):.0%})" for level, share in results["coverage"].items())
        print(f"True values inside the predicted interval: {covered}")
    print(f"Out-of-fold predictions: {summary['out_of_fold']}")


def _predict(options: argparse.Namespace) -> None:
    from gnnlib.training.inference import predict_catalog

    run = load_run(options.run)
    if options.out.suffix != ".parquet":
        raise InputError(f"Predictions are written as Parquet; name a file that ends in .parquet, not {options.out}.")
    summary = predict_catalog(run, _like(run.spec.catalog, catalog_spec(options)), options.out, options.memory_gb, _say)
    if options.json:
        return _print_json(summary)
    kind = "graphs" if run.spec.task == "graph_regression" else "rows"
    print(f"{summary['rows']:,} {kind} by {summary['networks']} networks in {summary['parts']} parts: {summary['out']}")
    return _print_warnings(summary["warnings"])


def _like(trained: CatalogSpec, asked: CatalogSpec) -> CatalogSpec:
    """The catalog that is asked for, read as the one that was trained on but for what is said of it."""
    said = {
        name: value
        for name, value in asked
        if value != CatalogSpec.model_fields[name].get_default(call_default_factory=True)
    }
    places = {
        path if path == "sample" else str(Path(path).expanduser().resolve()) for path in (asked.path, trained.path)
    }
    other = {"box": None, "periodic": None} if len(places) > 1 else {}
    return trained.model_copy(update={**other, **said})


def _runs(options: argparse.Namespace) -> None:
    if options.delete:
        load_run(options.delete, options.runs_dir).delete()
    if options.restore:
        restore_run(options.restore, options.runs_dir)
    runs = deleted_runs(options.runs_dir) if options.deleted else list_runs(options.runs_dir)
    rows = [_describe(run) for run in runs]
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
        task=options.task,
        target=options.target,
        more_targets=_names(options.more_targets),
        label=options.label,
        graph_by=options.graph_by,
        aggregate=options.aggregate,
        seeds=options.seeds,
        baselines=_names(options.baselines),
        features=() if options.features == NO_FEATURES else _names(options.features),
        folds=options.folds,
        split=options.split or ("group" if options.group else None),
        group=options.group,
        buffer=options.buffer,
        epochs=options.epochs,
        seed=options.seed,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        schedule=options.schedule,
        patience=options.patience,
        clip=options.clip,
        amp=options.amp,
        compile=options.compile,
        memory_gb=options.memory_gb,
        device=options.device,
    )
    pairs = fields.get("task") == "edge_classification"
    if fields.get("task", "node_regression") != preset.get("task", "node_regression"):
        # what the preset has is for another task
        fields = {name: value for name, value in fields.items() if name != "baselines" or options.baselines is not None}
        fields = {name: value for name, value in fields.items() if name != "target" or options.target is not None}
    for name in ("label" if pairs else "target", "features"):
        if not fields.get(name) and (name, options.features) != ("features", NO_FEATURES):
            raise InputError(f"Training needs --{name}; `python -m gnnlib catalog {options.path}` lists the columns.")
    return build(
        RunSpec,
        catalog=catalog_spec(options),
        graph=graph_spec(options, preset.get("graph", {})),
        model=build(ModelSpec, **{**preset.get("model", {}), **_given(name=options.model, readout=options.readout)}),
        **fields,
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(split_list(text))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _plain(value: Any) -> Any:
    """Specs inside a preset as plain mappings of the fields that were set."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value


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
