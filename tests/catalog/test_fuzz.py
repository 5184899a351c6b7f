"""Damaged files of every format: each ends in a catalog or in one sentence, within 10 s and 1 GB, and none in a crash.

Small valid files are mutated: bits and bytes, numbers in headers, pieces lost, doubled, moved. They are read in worker
processes, so that a crash or a hang inside a library is seen and told with the seed that caused it. One seed again:
`python -m tests.catalog.test_fuzz FOLDER SEED SEED+1`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import h5py
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from torch_geometric.data import Data

from gnnlib.catalog import read_catalog
from gnnlib.catalog.peek import peek
from gnnlib.errors import InputError

SECONDS, BYTES = 10, 10**9
PATIENCE = 12 * SECONDS  # of the clock, on a machine that has much else to do
N = 60


# --- small valid files ------------------------------------------------------------------------------------------------


def valid_files(folder: Path) -> list[Path]:
    """One file of each format and of its variants."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(N) + 10**15,
            **{axis: rng.uniform(0, 50, N) for axis in "xyz"},
            "mass": 10 ** rng.uniform(10, 14, N),
            "small": rng.uniform(0, 1, N).astype(np.float32),
            "flag": rng.uniform(size=N) > 0.5,
            "name": [f"object {k}" for k in range(N)],
        }
    )
    numbers = frame.drop(columns="name")
    table = Table.from_pandas(frame)
    table["pos"] = rng.uniform(0, 1, (N, 3))

    frame.to_csv(folder / "a.csv", index=False)
    frame.to_csv(folder / "a.tsv", index=False, sep="\t")
    numbers.to_csv(folder / "a.txt", index=False, sep=" ", header=False)
    table.write(folder / "a.ecsv")
    Table.from_pandas(numbers[["x", "y", "mass"]]).write(folder / "a.mrt", format="ascii.mrt")
    Table.from_pandas(numbers[["x", "y", "mass"]]).write(folder / "a.tbl", format="ascii.ipac")
    listed = "".join(f"#  {k} {name}  words [kpc]\n" for k, name in enumerate("xyz", 1))
    (folder / "numbered.cat").write_text(listed + "2 1.5D0 ***\n" * 30)
    (folder / "prose.csv").write_text("Made by us\n\nx;y;z\nkpc;kpc;kpc\n" + "1,5;2,5;3,5\n" * 30)
    (folder / "vizier.tsv").write_text(
        "#Column\tRA\t(F6.2)\tRight ascension\t[ucd=pos]\nRA\tDE\tz\ndeg\tdeg\t \n----\t----\t----\n"
        + "".join(f"{k}.5\t{-k}.5\t0.0{k}\n" for k in range(1, 30))
    )
    (folder / "out_1.list").write_text(
        "#ID Mvir X Y Z VX VY VZ\n#a = 0.5\n#Om = 0.3; Ol = 0.7; h = 0.7\n#Box size: 50.0 Mpc/h\n"
        "#Units: Masses in Msun / h\n#Units: Positions in Mpc / h (comoving)\n#Rockstar Version: 0.99\n"
        + "".join(f"{k} 1e12 {k}.5 {k}.25 {k}.125 1 2 3\n" for k in range(40))
    )
    primary = fits.PrimaryHDU()
    fits.HDUList([primary, fits.table_to_hdu(table), fits.table_to_hdu(Table.from_pandas(numbers))]).writeto(
        folder / "a.fits"
    )
    ascii_columns = [fits.Column("x", "F12.4", array=frame["x"], ascii=True)]
    fits.HDUList([primary, fits.TableHDU.from_columns(ascii_columns)]).writeto(folder / "ascii.fits")
    for written in ("tabledata", "binary", "binary2"):
        table.write(folder / f"{written}.vot", format="votable", tabledata_format=written)
    frame.to_parquet(folder / "a.parquet")
    frame.to_parquet(folder / "groups.parquet", row_group_size=20, compression="gzip")
    numbers.to_parquet(folder / "plain.parquet", use_dictionary=False, compression="none")
    with h5py.File(folder / "flat.hdf5", "w") as file:
        file.attrs["BoxSize"] = 50.0
        for name in frame:
            values = frame[name].to_numpy()
            file.create_dataset(f"halos/{name}", data=values.astype("S") if values.dtype == object else values)
        file["halos/pos"] = rng.uniform(0, 1, (N, 3))
    with h5py.File(folder / "packed.hdf5", "w") as file:
        for name in numbers:
            file.create_dataset(name, data=numbers[name], chunks=(16,), compression="gzip", shuffle=True)
        file.create_dataset("words", data=list(frame["name"]), dtype=h5py.string_dtype())
    binary = table.copy()
    binary.convert_unicode_to_bytestring()
    binary.write(folder / "records.h5", path="catalog", serialize_meta=True)
    with h5py.File(folder / "fof_subhalo_tab_099.0.hdf5", "w") as file:
        header = {"BoxSize": 1000.0, "HubbleParam": 0.5, "Time": 1.0, "Redshift": 0.0, "NumFiles": 1}
        file.create_group("Header").attrs.update({**header, "Ngroups_ThisFile": 6})
        file["Group/GroupFirstSub"], file["Group/GroupNsubs"] = np.arange(0, 60, 10), np.full(6, 10)
        file["Group/GroupPos"], file["Group/Group_M_Crit200"] = rng.uniform(0, 1000, (6, 3)), np.arange(6.0)
        file["Subhalo/SubhaloGrNr"], file["Subhalo/SubhaloPos"] = np.arange(60) // 10, rng.uniform(0, 1000, (60, 3))
        file["Subhalo/SubhaloMassType"] = rng.uniform(0, 1, (60, 6)).astype(np.float32)
    np.save(folder / "a.npy", numbers.to_records(index=False))
    np.save(folder / "plain.npy", numbers[["x", "y", "z"]].to_numpy())
    np.savez(folder / "a.npz", **{name: numbers[name] for name in "xyz"})
    np.savez_compressed(folder / "packed.npz", **{name: numbers[name] for name in "xyz"})
    torch.save(Data(pos=torch.rand(N, 3), edge_index=torch.zeros(2, 4, dtype=torch.long)), folder / "a.pt")
    drawn = nx.path_graph(N)
    nx.set_node_attributes(drawn, {n: {"x": float(n), "y": 2.0, "mass": 3.0 + n} for n in range(N)})
    nx.write_graphml(drawn, folder / "a.graphml")
    (folder / "a.json").write_text(frame.to_json(orient="records"))
    (folder / "a.jsonl").write_text(frame.to_json(orient="records", lines=True))
    metadata = [{"name": name, "unit": "kpc"} for name in "xyz"]
    (folder / "tap.json").write_text(
        json.dumps({"metadata": metadata, "data": frame[["x", "y", "z"]].to_numpy().tolist()})
    )
    for name, pack in (("a.csv", gzip), ("a.txt", bz2), ("a.ecsv", lzma), ("a.fits", gzip), ("binary2.vot", gzip)):
        suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[pack]
        (folder / f"{name}.{suffix}").write_bytes(pack.compress((folder / name).read_bytes()))
    return sorted(folder.iterdir())


# --- mutations --------------------------------------------------------------------------------------------------------


def _anywhere(rng: np.random.Generator, content: bytearray) -> int:
    """A place, in half of the cases near the beginning or the end, where headers and footers are."""
    size = max(len(content), 1)
    draw = int(rng.integers(4))
    if draw == 0:
        return int(rng.integers(min(size, 256)))
    if draw == 1:
        return size - 1 - int(rng.integers(min(size, 512)))
    return int(rng.integers(size))


def _flip_bits(rng: np.random.Generator, content: bytearray) -> None:
    for _ in range(int(rng.integers(1, 9))):
        content[_anywhere(rng, content)] ^= 1 << int(rng.integers(8))


def _set_bytes(rng: np.random.Generator, content: bytearray) -> None:
    at = _anywhere(rng, content)
    width = int(rng.integers(1, 17))
    content[at : at + width] = [rng.bytes(width), b"\0" * width, b"\xff" * width][int(rng.integers(3))]


def _set_integer(rng: np.random.Generator, content: bytearray) -> None:
    """A size or an offset that is far too large, or negative."""
    width = int(rng.choice([2, 4, 8]))
    value = [0, 2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (4 * width)]
    at = _anywhere(rng, content) // 2 * 2
    order = "little" if rng.integers(2) else "big"
    content[at : at + width] = int(value[int(rng.integers(len(value)))]).to_bytes(width, order)


def _change_number(rng: np.random.Generator, content: bytearray) -> None:
    """A number written in text becomes another, of the same length or not."""
    found = list(re.finditer(rb"\d+", bytes(content[:200_000])))
    if found:
        match = found[int(rng.integers(len(found)))]
        others = [b"0", b"-1", b"999999999", b"1e308", b"9" * 30, b"nan", b"9" * len(match[0])]
        content[slice(*match.span())] = others[int(rng.integers(len(others)))]


def _truncate(rng: np.random.Generator, content: bytearray) -> None:
    del content[_anywhere(rng, content) :]


def _lose(rng: np.random.Generator, content: bytearray) -> None:
    at = _anywhere(rng, content)
    del content[at : at + int(rng.integers(1, 200))]


def _insert(rng: np.random.Generator, content: bytearray) -> None:
    at = _anywhere(rng, content)
    marks = [b"\0" * 64, b",", b"\n", b'"', b"<TD>", b"\t\t", b"{[", b"#", b"\xff\xfe", rng.bytes(40)]
    content[at:at] = marks[int(rng.integers(len(marks)))]


def _repeat(rng: np.random.Generator, content: bytearray) -> None:
    at = _anywhere(rng, content)
    piece = content[at : at + int(rng.integers(1, 400))]
    content[at:at] = piece * int(rng.integers(1, 20))


def _move(rng: np.random.Generator, content: bytearray) -> None:
    source, target = _anywhere(rng, content), _anywhere(rng, content)
    piece = content[source : source + int(rng.integers(1, 200))]
    content[target : target + len(piece)] = piece


def _swap_letters(rng: np.random.Generator, content: bytearray) -> None:
    """A word of the header in other letters."""
    found = list(re.finditer(rb"[A-Za-z_]{2,20}", bytes(content[:50_000])))
    if found:
        start, end = found[int(rng.integers(len(found)))].span()
        content[start:end] = bytes(rng.integers(65, 91, end - start, dtype=np.uint8))


MUTATIONS = (
    _flip_bits,
    _set_bytes,
    _set_integer,
    _change_number,
    _truncate,
    _lose,
    _insert,
    _repeat,
    _move,
    _swap_letters,
)


def mutated(files: list[Path], seed: int) -> tuple[str, bytes]:
    """The name and content of the damaged file of one seed; every second packed one is damaged inside the packing."""
    rng = np.random.default_rng(seed)
    path = files[seed % len(files)]
    content = bytearray(path.read_bytes())
    inside = path.suffix == ".gz" and rng.integers(2)
    if inside:
        content = bytearray(gzip.decompress(content))
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if content:
            MUTATIONS[int(rng.integers(len(MUTATIONS)))](rng, content)
    return path.name, gzip.compress(content) if inside else bytes(content)


# --- workers ----------------------------------------------------------------------------------------------------------


def outcome(path: Path) -> str:
    """How reading a file ends: "catalog", "sentence", or what is wrong with how it ends."""
    ends = []
    for read in (read_catalog, peek):
        try:
            read(path)
            ends.append("catalog")
        except InputError as error:
            message = str(error)
            good = "\n" not in message and len(message) < 400 and message.endswith((".", "?", "..."))
            ends.append("sentence" if good else f"unlike a sentence: {message!r}")
        except BaseException as error:  # whatever it is, a person would have seen it
            ends.append(f"{type(error).__name__}: {error!r}"[:300])
    return next((end for end in ends if end not in ("catalog", "sentence")), ends[0])


def work(folder: Path, seeds: range) -> None:
    """Read the files of the seeds, telling on standard output when each begins and how it ends."""
    files = sorted((folder / "valid").iterdir())
    for path in files:
        outcome(path)  # what the libraries load and set up at first use does not count
    status = Path("/proc/self/status").read_text()
    used = int(found[1]) * 1024 if (found := re.search(r"VmData:\s*(\d+)", status)) else 0
    resource.setrlimit(resource.RLIMIT_DATA, (used + BYTES, resource.RLIM_INFINITY))
    for seed in seeds:
        name, content = mutated(files, seed)
        place = folder / f"{seed}"
        place.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
        print(json.dumps({"seed": seed, "name": name}), flush=True)
        start = time.process_time()
        end = outcome(place / name)
        print(json.dumps({"seed": seed, "end": end, "seconds": time.process_time() - start}), flush=True)
        (place / name).unlink()
        place.rmdir()


def fuzz(folder: Path, seeds: range) -> tuple[Counter[str], list[str]]:
    """Run the seeds in worker processes: how often each end came, and what went wrong."""
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    at = seeds.start
    while at < seeds.stop:
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "tests.catalog.test_fuzz",
            folder,
            str(at),
            str(seeds.stop),
        ]
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, errors="replace"
        )
        said: list[str] = []
        listener = threading.Thread(target=lambda w=worker, s=said: s.extend(w.stderr), daemon=True)  # type: ignore[misc]
        listener.start()
        current, name, hung = at, "", False
        timer = threading.Timer(PATIENCE, worker.kill)
        timer.start()
        assert worker.stdout
        for line in worker.stdout:
            timer.cancel()
            timer = threading.Timer(PATIENCE, worker.kill)
            timer.start()
            with contextlib.suppress(json.JSONDecodeError):  # a library may print
                told = json.loads(line)
                if "end" not in told:
                    current, name = told["seed"], told["name"]
                    continue
                ends[told["end"] if told["end"] in ("catalog", "sentence") else "wrong"] += 1
                if told["end"] not in ("catalog", "sentence"):
                    wrong.append(f"seed {told['seed']} ({name}): {told['end']}")
                if told["seconds"] > SECONDS:
                    wrong.append(f"seed {told['seed']} ({name}): {told['seconds']:.1f} s")
                current = told["seed"] + 1
        hung = not timer.is_alive()
        timer.cancel()
        listener.join(5)
        if worker.wait() == 0:
            break
        why = "hung" if hung else f"crashed with status {worker.returncode}"
        wrong.append(f"seed {current} ({name}) {why}: {' '.join(''.join(said[-30:]).split())[:500]}")
        ends["crashed"] += 1
        at = current + 1
    return ends, wrong


def _run(folder: Path, seeds: range) -> None:
    (folder / "valid").mkdir()
    files = valid_files(folder / "valid")
    assert all(outcome(path) == "catalog" for path in files), [(path.name, outcome(path)) for path in files]
    ends, wrong = fuzz(folder, seeds)
    print(f"\n{sum(ends.values()):,} files over {len(files)} formats: {dict(ends)}")
    assert not wrong, "\n".join(wrong)
    assert sum(ends.values()) == len(seeds) and ends["catalog"] > 0 and ends["sentence"] > len(seeds) // 10


linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is limited as Linux does it")


@linux
def test_two_damaged_files_of_every_format_end_in_a_catalog_or_a_sentence(tmp_path: Path) -> None:
    _run(tmp_path, range(62))


@linux
@pytest.mark.slow
def test_two_thousand_damaged_files_end_in_a_catalog_or_a_sentence(tmp_path: Path) -> None:
    _run(tmp_path, range(1000, 3000))


if __name__ == "__main__":
    work(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])))
