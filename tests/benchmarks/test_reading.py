"""Reading 1e6 rows of 10 columns against the readers people use for each format: the values are compared, peak memory
must stay below three tables, times are printed as a ratio to the fastest of the readers in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

from gnnlib.catalog import CatalogSpec
from gnnlib.catalog.peek import peek
from gnnlib.catalog.read import read_raw

polars = pytest.importorskip("polars")
pytestmark = pytest.mark.benchmark
N = 1_000_000
REPEATS = 5
ALLOWED_TIME, ALLOWED_MEMORY = 1.2, 3.0


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": np.arange(N) + 10**15,
            **{axis: rng.uniform(0, 500, N) for axis in "xyz"},
            **{f"v{axis}": rng.normal(0, 300, N) for axis in "xyz"},
            "mass": 10 ** rng.uniform(10, 15, N),
            "group": rng.integers(0, 10**6, N),
            "mag": rng.uniform(10, 25, N).astype(np.float32),
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return frame()


def hdf5_flat(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


# kind -> how the file is written, and the readers to compare with: name -> function that gives columns
PEERS: dict[str, dict[str, Callable[[Path], Any]]] = {
    "parquet": {
        "pandas": pd.read_parquet,
        "pyarrow": pyarrow.parquet.read_table,
        "polars": polars.read_parquet,
        "astropy": lambda path: Table.read(path, format="parquet"),
    },
    "csv": {
        "pandas": pd.read_csv,
        "pyarrow": pyarrow.csv.read_csv,
        "polars": polars.read_csv,
        "astropy": lambda path: Table.read(path, format="ascii.fast_csv"),
    },
    "fits": {
        "astropy": lambda path: Table.read(path, memmap=False),  # in the file's byte order and layout
        "astropy to pandas": lambda path: Table.read(path, memmap=False).to_pandas(),
        "astropy.io.fits": lambda path: {
            name: np.array(fits.getdata(path, 1)[name], dtype=kind) for name, kind in frame_types().items()
        },
    },
    "flat.hdf5": {
        "h5py to pandas": lambda path: pd.DataFrame(hdf5_flat(path)),
        "h5py to pandas, no copy": lambda path: pd.DataFrame(hdf5_flat(path), copy=False),
    },
    "records.hdf5": {  # astropy alone leaves the columns as views into the records, to be gathered at each use
        "astropy to pandas": lambda path: Table.read(path, path="t", format="hdf5").to_pandas(),
    },
    "binary2.vot": {"astropy": lambda path: Table.read(path, format="votable")},
    "tabledata.vot": {"astropy": lambda path: Table.read(path, format="votable")},
}


def frame_types() -> dict[str, str]:
    return {"id": "i8", **dict.fromkeys(["x", "y", "z", "vx", "vy", "vz", "mass"], "f8"), "group": "i8", "mag": "f4"}


def write(table: pd.DataFrame, folder: Path, kind: str) -> Path:
    path = folder / f"t.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    elif kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "fits":
        Table.from_pandas(table).write(path)
    elif kind == "flat.hdf5":
        with h5py.File(path, "w") as file:
            for name in table:
                file[name] = table[name]
    elif kind == "records.hdf5":
        with h5py.File(path, "w") as file:
            file["t"] = table.to_records(index=False)
    else:
        Table.from_pandas(table).write(path, format="votable", tabledata_format=kind.partition(".")[0])
    return path


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize("kind", PEERS)
def test_reading_a_million_rows_against_the_fastest_reader(table: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    slow = kind.endswith("vot")
    rows = table[: N // 5] if slow else table  # astropy takes twenty seconds for the whole
    path = write(rows, tmp_path, kind)
    spec = CatalogSpec(path=str(path))
    found = read_raw(spec).table
    for name in rows:
        assert found[name].dtype == rows[name].dtype or kind == "csv"
        np.testing.assert_array_equal(found[name].to_numpy().astype(rows[name].dtype), rows[name])
    del found
    peers = {name: read for name, read in PEERS[kind].items()}
    times: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
    for _ in range(2 if slow else REPEATS):  # in turns, so that a busy moment strikes them all
        times["ours"].append(seconds(lambda: read_raw(spec)))
        for name, read in peers.items():
            times[name].append(seconds(lambda read=read: read(path)))  # type: ignore[misc]
    best = {name: min(values) for name, values in times.items()}
    fastest = min(peers, key=lambda name: best[name])
    ratio, memory = best["ours"] / best[fastest], peak_memory(path)
    print(f"\n{len(rows):,} rows, {kind}: " + ", ".join(f"{name} {value:.3f} s" for name, value in best.items()))
    print(f"ratio to {fastest}: {ratio:.2f} (allowed {ALLOWED_TIME}); peak memory {memory:.2f} tables (allowed 3)")
    assert memory <= ALLOWED_MEMORY


_MEASURE = """
import json, re, sys, threading, time
from pathlib import Path
from gnnlib.catalog import CatalogSpec
from gnnlib.catalog.read import read_raw
def taken():  # without the pages of a mapped file, which the kernel may drop at any time
    return int(re.search(r"RssAnon:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
seen = [0]
def watch():
    while True:
        seen[0] = max(seen[0], taken())
        time.sleep(0.0005)
small, path = sys.argv[1:]
read_raw(CatalogSpec(path=small))  # what importing and the first use take
before = taken()
threading.Thread(target=watch, daemon=True).start()
table = read_raw(CatalogSpec(path=path)).table
print(json.dumps([max(seen[0], taken()) - before, int(table.memory_usage(deep=True).sum())]))
"""


def peak_memory(path: Path) -> float:
    """Memory that reading takes at its peak, over what the table takes: in a process of its own."""
    kind = path.name.partition(".")[2]
    folder = path.parent / "small"
    folder.mkdir(exist_ok=True)
    small = write(frame()[:1000], folder, kind)
    done = subprocess.run([sys.executable, "-c", _MEASURE, small, path], capture_output=True, text=True, check=True)
    grown, size = json.loads(done.stdout)
    return grown / size


@pytest.mark.parametrize("kind", PEERS)
def test_a_peek_against_reading(table: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    path = write(table[: N // 10] if kind.endswith("vot") else table, tmp_path, kind)
    assert len(peek(path).table) == 20
    looking = min(seconds(lambda: peek(path)) for _ in range(3))
    reading = min(seconds(lambda: read_raw(CatalogSpec(path=str(path)))) for _ in range(3))
    print(f"\n{kind}, {path.stat().st_size / 1e6:.0f} MB: a peek {looking:.3f} s, reading {reading:.3f} s")
