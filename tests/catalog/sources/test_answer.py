"""Writing an answer: complete or not at all, under a name of its own; what cannot be a column is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from gnnlib.catalog.sources import answer as answers
from gnnlib.catalog.sources import make_spec
from gnnlib.catalog.sources.answer import Answer, free_name, from_astropy, write
from gnnlib.errors import InputError

SPEC = make_spec("tap", url="https://example.org/tap", query="SELECT 1", rows=2)


def answer(**changes: object) -> Answer:
    fields = {
        "table": pa.table({"x": [1.0, 2.0]}),
        "name": "stars near M 31 / [x]",
        "service": "TAP example.org",
        "url": "https://example.org/tap",
        "query": "SELECT 1",
        "library": "pyvo 1",
    }
    return Answer(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(table: pa.Table, file: IO[bytes]) -> None:
        file.write(b"PAR1 half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answers.pq, "write_table", half)
    with pytest.raises(OSError, match="No space left"):
        write(answer(), SPEC, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(table: pa.Table, file: IO[bytes]) -> None:
        file.write(b"PAR1 half")
        raise KeyboardInterrupt

    monkeypatch.setattr(answers.pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(answer(), SPEC, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_seen_under_its_name_before_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = pq.write_table

    def watched(table: pa.Table, file: IO[bytes]) -> None:
        seen.append([path.name for path in tmp_path.iterdir() if not path.name.startswith(".")])
        real(table, file)

    monkeypatch.setattr(answers.pq, "write_table", watched)
    path = write(answer(), SPEC, tmp_path)
    assert seen == [[]] and pq.read_table(path).num_rows == 2


def test_two_answers_of_one_second_have_two_names(tmp_path: Path) -> None:
    first, second = write(answer(), SPEC, tmp_path), write(answer(), SPEC, tmp_path)
    assert first != second and first.exists() and second.exists()
    assert first.name.startswith("tap-example.org-stars-near-m-31-x_20") and first.suffix == ".parquet"


@pytest.mark.parametrize("words", ["../../etc/passwd", "/absolute", ".hidden", "a\0b", "", "x" * 500, "α β"])
def test_names_stay_in_their_folder(tmp_path: Path, words: str) -> None:
    path = free_name(tmp_path, words, ".parquet")
    assert path.parent == tmp_path and not path.name.startswith(".") and len(path.name) < 120


def test_an_answer_without_rows_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row that fits"):
        write(answer(table=pa.table({"x": pa.array([], pa.float64())})), SPEC, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_metadata_say_where_the_rows_come_from(tmp_path: Path) -> None:
    path = write(answer(truncated=True, facts={"box": 75.0, "box_unit": "Mpc/h"}), SPEC, tmp_path)
    stated = json.loads(pq.read_schema(path).metadata[b"filament"])
    assert stated["box"] == 75.0 and stated["provenance"]["truncated"] is True and stated["provenance"]["rows"] == 2
    assert stated["provenance"]["spec"]["query"] == "SELECT 1"
    assert "first 2 " in stated["warnings"][0] and "limit that was asked for" in stated["warnings"][0]


def test_columns_of_every_kind() -> None:
    table = Table()
    table["big_endian"] = np.array([1, 2, 3], dtype=">i4")
    table["masked_id"] = MaskedColumn(np.array([2**62 + 1, 0, 5]), mask=[False, True, False])
    table["flag"] = np.array([True, False, True])
    table["text"] = MaskedColumn([b"a ", b"", b"c"], mask=[False, False, True])
    table["vector"] = np.arange(6, dtype=">f4").reshape(3, 2) * u.Unit("km/s")
    table["complex"] = np.array([1j, 2j, 3j])
    table["lists"] = np.array([[1], [2, 3], []], dtype=object)
    table["cube"] = np.zeros((3, 2, 2))
    arrow, left_out = from_astropy(table, rows=2)
    assert left_out == ["complex", "lists", "cube"]
    assert arrow["big_endian"].to_pylist() == [1, 2]
    assert arrow["masked_id"].to_pylist() == [2**62 + 1, None]
    assert arrow["flag"].to_pylist() == [True, False]
    assert arrow["text"].to_pylist() == ["a", None]
    assert arrow["vector"].to_pylist() == [[0.0, 1.0], [2.0, 3.0]]
    assert arrow.schema.field("vector").metadata[b"unit"].replace(b" ", b"") == b"km/s"
