"""HATS: a catalog in tiles, on a server and in a folder; only the cone comes back, only its tiles are asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import fetch, make_spec, network
from gnnlib.errors import InputError
from tests.catalog.sources.loopback import Asked, Reply, Server, redirect

CONE = {"ra": 56.75, "dec": 24.12, "radius": 1.2}
PLEIADES = 300


@pytest.fixture(scope="module")
def stars() -> pd.DataFrame:
    """Stars over the whole sky, and a cluster that the cone below cuts through."""
    rng = np.random.default_rng(7)
    n = 1800
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    ra[:PLEIADES] = 56.75 + rng.uniform(-1.5, 1.5, PLEIADES)
    dec[:PLEIADES] = 24.12 + rng.uniform(-1.5, 1.5, PLEIADES)
    return pd.DataFrame(
        {
            "source_id": 5_853_498_713_190_525_000 + np.arange(n),
            "ra": ra,
            "dec": dec,
            "parallax": rng.uniform(1, 10, n),
            "g_mag": rng.uniform(5, 20, n).astype(np.float32),
            "name": [f"star {k}" for k in range(n)],
        }
    )


@pytest.fixture(scope="module")
def inside(stars: pd.DataFrame) -> pd.DataFrame:
    """Those within the cone, by the law of cosines on the sphere."""
    ra, dec = np.radians(stars["ra"]), np.radians(stars["dec"])
    ra0, dec0 = np.radians(CONE["ra"]), np.radians(CONE["dec"])
    cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
    found = stars[np.degrees(np.arccos(cosine)) <= CONE["radius"]]
    assert 50 < len(found) < PLEIADES
    return found.sort_values("source_id").reset_index(drop=True)


@pytest.fixture(scope="module")
def collection(stars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection (with a catalog and its margin below it) as LSDB writes one."""
    import lsdb

    folder = tmp_path_factory.mktemp("hats") / "sky"
    catalog = lsdb.from_dataframe(
        stars, ra_column="ra", dec_column="dec", catalog_name="sky", lowest_order=1, highest_order=6, partition_rows=110
    )
    catalog.write_catalog(folder, progress_bar=False)
    return folder


def files(folder: Path) -> Callable[[Asked], Reply | None]:
    def answer(asked: Asked) -> Reply | None:
        path = folder / asked.path.strip("/")
        return Reply(path.read_bytes(), kind="application/octet-stream") if path.is_file() else None

    return answer


def same_rows(path: Path, expected: pd.DataFrame, columns: tuple[str, ...]) -> None:
    catalog = read_catalog(path)
    order = np.argsort(catalog.values("source_id"))
    assert len(catalog) == len(expected)
    for name in columns:
        np.testing.assert_array_equal(catalog.values(name)[order], expected[name].to_numpy())


@pytest.mark.parametrize("where", ["", "/sky"])
def test_the_cone_of_a_catalog_on_a_server(
    serve: Callable[..., Server],
    loopback_allowed: None,
    collection: Path,
    inside: pd.DataFrame,
    tmp_path: Path,
    where: str,
) -> None:
    server = serve(files(collection))
    told: list[tuple[float, str]] = []
    spec = make_spec("hats", url=server.url + where, cone=CONE)
    path = fetch(spec, tmp_path, lambda share, what: told.append((share, what)))
    same_rows(path, inside, ("source_id", "ra", "dec", "parallax", "g_mag", "name"))
    tiles = {asked.path for asked in server.asked if "Npix" in asked.path}
    everything = list((collection / "sky" / "dataset").rglob("Npix=*.parquet"))
    assert 1 < len(tiles) < len(everything) / 4
    assert any("Tile 2 of" in what for _, what in told) and told[-1][0] == 1.0
    catalog = read_catalog(path)
    assert catalog.columns["ra"].unit == "deg" and catalog.columns["dec"].unit == "deg"
    assert catalog.provenance["service"] == "HATS" and catalog.provenance["url"] == server.url + where
    assert catalog.provenance["rows"] == len(inside) and catalog.provenance["truncated"] is False
    assert "within 1.2 deg of RA 56.75" in str(catalog.provenance["query"])
    assert str(catalog.provenance["library"]).startswith("lsdb ")


def test_the_cone_of_a_catalog_in_a_folder(collection: Path, inside: pd.DataFrame, tmp_path: Path) -> None:
    for url in (collection, collection / "sky"):
        path = fetch(make_spec("hats", url=str(url), cone=CONE), tmp_path)
        same_rows(path, inside, ("source_id", "parallax", "name"))


def test_only_the_columns_asked_for_and_the_position_come(
    collection: Path, inside: pd.DataFrame, tmp_path: Path
) -> None:
    path = fetch(make_spec("hats", url=str(collection), cone=CONE, columns=("source_id", "g_mag")), tmp_path)
    assert sorted(map(str, read_catalog(path).table.columns)) == ["dec", "g_mag", "ra", "source_id"]
    same_rows(path, inside, ("source_id", "g_mag", "ra"))


def test_the_row_limit_ends_the_search_and_is_told(
    serve: Callable[..., Server], loopback_allowed: None, collection: Path, stars: pd.DataFrame, tmp_path: Path
) -> None:
    server = serve(files(collection))
    wide = {"ra": 56.75, "dec": 24.12, "radius": 90.0}
    catalog = read_catalog(fetch(make_spec("hats", url=server.url, cone=wide, rows=100), tmp_path))
    assert len(catalog) == 100 and catalog.provenance["truncated"] is True
    assert any("HATS has more rows" in sentence for sentence in catalog.warnings)
    known = stars.set_index("source_id")
    served = known.loc[catalog.values("source_id"), "parallax"].to_numpy()
    np.testing.assert_array_equal(catalog.values("parallax"), served)
    tiles = {asked.path for asked in server.asked if "Npix" in asked.path}
    assert len(tiles) < len(list(collection.rglob("Npix=*.parquet"))) / 4


def test_an_internal_catalog_is_refused(serve: Callable[..., Server], collection: Path, tmp_path: Path) -> None:
    server = serve(files(collection))
    with pytest.raises(InputError, match="private network"):
        fetch(make_spec("hats", url=server.url, cone=CONE), tmp_path)
    assert server.asked == []


def test_a_tile_that_is_redirected_into_the_private_network_is_refused(
    serve: Callable[..., Server], collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiles are read by another HTTP client than the rest, which needs the same guard."""
    monkeypatch.setattr(network, "is_public", lambda address: address == "127.0.0.1")
    behind = serve(files(collection), host="127.0.0.2")
    front = serve(lambda asked: redirect(behind.url + asked.path) if "Npix" in asked.path else files(collection)(asked))
    with pytest.raises(InputError, match="private network"):
        fetch(make_spec("hats", url=front.url, cone=CONE), tmp_path)
    assert any("Npix" in asked.path for asked in front.asked) and behind.asked == []


@pytest.mark.parametrize("elsewhere", ["/etc", "../../etc", "file:///etc", "https://10.0.0.1/x", "s3://bucket/x", ""])
@pytest.mark.parametrize("remote", [True, False])
def test_a_collection_may_not_name_a_catalog_elsewhere(
    serve: Callable[..., Server], loopback_allowed: None, tmp_path: Path, elsewhere: str, remote: bool
) -> None:
    folder = tmp_path / "collection"
    folder.mkdir()
    (folder / "collection.properties").write_text(f"obs_collection=x\nhats_primary_table_url={elsewhere}\n")
    url = serve(files(folder)).url if remote else str(folder)
    with pytest.raises(InputError, match="names no catalog below it"):
        fetch(make_spec("hats", url=url, cone=CONE), tmp_path / "data")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"columns": ("colour",)}, "no column 'colour'; its columns are"),
        ({"cone": {"ra": 56.75, "dec": 24.12, "radius": 1e-6}}, "no object within"),
    ],
)
def test_what_the_catalog_does_not_have_is_said(
    collection: Path, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fetch(make_spec("hats", **{"url": str(collection), "cone": CONE, **fields}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def broken(collection: Path, which: str, reply: Reply | None) -> Callable[[Asked], Reply | None]:
    return lambda asked: reply if which in asked.path else files(collection)(asked)


@pytest.mark.parametrize(
    ("which", "reply", "words"),
    [
        ("properties", None, "no HATS catalog at"),
        ("properties", Reply("no", 403), "refuses access"),
        ("_metadata", Reply("broken", 500), "is no catalog of objects"),
        ("partition_info", Reply("<html>", 200), "127.0.0.1 "),
        ("Npix", Reply("no", 500), "lacks a file"),
        ("Npix", Reply("no", 404), "lacks a file"),
        ("Npix", Reply(b"PAR1 and no more", 200), "127.0.0.1 "),
    ],
)
def test_a_broken_catalog_is_one_sentence_and_leaves_no_file(
    serve: Callable[..., Server],
    loopback_allowed: None,
    collection: Path,
    tmp_path: Path,
    which: str,
    reply: Reply | None,
    words: str,
) -> None:
    server = serve(broken(collection, which, reply))
    with pytest.raises(InputError) as caught:
        fetch(make_spec("hats", url=f"{server.url}/sky", cone=CONE), tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_catalog(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no hats\.properties"):
        fetch(make_spec("hats", url=str(tmp_path), cone=CONE), tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        fetch(make_spec("hats", url=str(tmp_path / "nothing"), cone=CONE), tmp_path)
    margin = tmp_path / "margin"
    shutil.copytree(next(collection.glob("sky_*")), margin)
    with pytest.raises(InputError):
        fetch(make_spec("hats", url=str(margin), cone=CONE), tmp_path / "data")


@pytest.mark.parametrize(
    "url", ["s3://bucket/catalog", "file:///data", "simplecache::https://a.org/x", "", "https://a.org/x?y"]
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        make_spec("hats", url=url, cone=CONE)
