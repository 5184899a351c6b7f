"""A look at the first rows shows what reading would, without reading on; long loads say how far they are."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from gnnlib.catalog import CatalogSpec
from gnnlib.catalog.peek import peek
from gnnlib.catalog.read import read_raw
from gnnlib.errors import InputError

N = 120_000
RNG = np.random.default_rng(5)
FRAME = pd.DataFrame({"id": np.arange(N), **{name: RNG.uniform(0, 50, N) for name in "xyz"}})
FORMATS = [
    "csv",
    "txt",
    "ecsv",
    "fits",
    "tabledata.vot",
    "binary2.vot",
    "parquet",
    "flat.h5",
    "records.h5",
    "npy",
    "json",
]
FORMATS += ["jsonl", "tap.json"]
SLOW = ("ecsv", "tabledata.vot", "binary2.vot")  # to write


def write(frame: pd.DataFrame, folder: Path, kind: str) -> Path:
    path = folder / f"t.{kind}"
    table = Table.from_pandas(frame)
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "txt":
        frame.to_csv(path, index=False, sep=" ")
    elif kind in ("ecsv", "fits"):
        table.write(path)
    elif kind.endswith("vot"):
        table.write(path, format="votable", tabledata_format=kind.partition(".")[0])
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=10_000)
    elif kind == "flat.h5":
        with h5py.File(path, "w") as file:
            for name in frame:
                file.create_dataset(name, data=frame[name], chunks=(1000,), compression="gzip")
    elif kind == "records.h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("t", data=frame.to_records(index=False), chunks=(1000,), compression="gzip")
    elif kind == "npy":
        np.save(path, frame.to_records(index=False))
    elif kind == "json":
        path.write_text(frame.to_json(orient="records", double_precision=15))
    elif kind == "jsonl":
        path.write_text(frame.to_json(orient="records", lines=True, double_precision=15))
    elif kind == "tap.json":
        metadata = [{"name": name, "unit": "kpc"} for name in frame]
        path.write_text(json.dumps({"metadata": metadata, "data": frame.to_numpy().tolist()}))
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("peek")
    return {kind: write(FRAME[:20_000] if kind in SLOW else FRAME, folder, kind) for kind in FORMATS}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_first_rows_are_those_of_the_table(written: dict[str, Path], kind: str) -> None:
    seen = peek(written[kind], rows=15)
    assert len(seen.table) == 15 and seen.size == written[kind].stat().st_size
    assert list(seen.table.columns) == list(FRAME.columns) and seen.header
    np.testing.assert_allclose(seen.table.astype(float), FRAME[:15].astype(float), rtol=1e-13)
    whole = read_raw(CatalogSpec(path=str(written[kind])))
    assert seen.format == whole.format and (kind == "tap.json" or (seen.table.dtypes == whole.table.dtypes).all())
    if kind.endswith(("fits", "parquet", "h5", "npy")):
        assert seen.rows == N
    if kind == "tap.json":
        assert seen.columns["x"].unit == "kpc"


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_wrong_far_below_is_not_met(written: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """So the end of the file was not read."""
    content = bytearray(written[kind].read_bytes())
    late = slice(int(0.9 * len(content)), int(0.97 * len(content)))
    content[late] = b"\x01" * (late.stop - late.start)
    (tmp_path / f"bad.{kind}").write_bytes(content)
    assert len(peek(tmp_path / f"bad.{kind}").table) == 20


@pytest.mark.parametrize(
    "kind", ["csv", "txt", "fits", "tabledata.vot", "binary2.vot", "ecsv", "jsonl", "parquet", "npy"]
)
def test_packed_files_are_unpacked_no_further_than_needed(written: dict[str, Path], tmp_path: Path, kind: str) -> None:
    packed = tmp_path / f"t.{kind}.gz"
    packed.write_bytes(gzip.compress(written[kind].read_bytes(), 1))
    seen = peek(packed)
    np.testing.assert_allclose(seen.table["x"], FRAME["x"][:20])


def test_group_catalogs_show_the_first_chunk_that_has_rows(tng_chunks: Path) -> None:
    seen = peek(tng_chunks, rows=7)
    assert len(seen.table) == 7 and seen.tables == ("Subhalo", "Group") and seen.rows is None
    whole = read_raw(CatalogSpec(path=str(tng_chunks)))
    pd.testing.assert_frame_equal(seen.table, whole.table[list(seen.table.columns)][:7])
    assert len(peek(tng_chunks, rows=7, table="Group").table) == 7


def test_real_files_show_the_same_columns_as_when_they_are_read(shared_data: Path) -> None:
    shown = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or "groups_099" in path.parts:
            continue
        try:
            whole = read_raw(CatalogSpec(path=str(path)))
        except InputError:
            continue
        seen = peek(path, rows=4)
        assert list(seen.table.columns) == list(whole.table.columns), path
        assert len(seen.table) == 4 and seen.format == whole.format
        shown += 1
    assert shown == 26


def test_a_peek_at_what_is_no_catalog_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(InputError, match="is empty; choose"):
        peek(tmp_path / "t.csv")
    assert len(peek("sample").table) == 20


@pytest.mark.parametrize("kind", [*FORMATS, "csv.gz"])
def test_long_loads_say_how_far_they_are(
    written: dict[str, Path], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in ("text._LONG", "fits_tables._BLOCK", "votable._BLOCK", "hdf5_parts._BLOCK", "parquet._AT_ONCE"):
        monkeypatch.setattr(f"gnnlib.catalog.{block}", 2**16)  # as if the files were longer
    path = written.get(kind)
    if path is None:
        path = tmp_path / "t.csv.gz"
        path.write_bytes(gzip.compress(written["csv"].read_bytes(), 1))
    told: list[float] = []
    read_raw(CatalogSpec(path=str(path)), lambda share, what: told.append(share))
    assert told == sorted(told) and told[-1] == 1 and min(told) >= 0
    assert len(told) > 2 or kind in ("ecsv", "json", "jsonl", "tap.json", "npy")


def test_chunks_are_told_one_by_one(tng_chunks: Path) -> None:
    told: list[tuple[float, str]] = []
    read_raw(CatalogSpec(path=str(tng_chunks)), lambda share, what: told.append((share, what)))
    assert len(told) >= 21 and "fof_subhalo_tab_099.150.hdf5" in {what for _, what in told}
    assert [share for share, _ in told] == sorted(share for share, _ in told)
