"""The form for remote services: what it asks, what it hands over, what it says when that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from gnnlib.catalog import read_catalog
from gnnlib.catalog.sources import SOURCES, tng_api
from tests.catalog.sources import votable
from tests.catalog.sources.loopback import Reply, Server

TABLE = votable.document(
    votable.resource(
        votable.info("QUERY_STATUS", "OK"),
        votable.table("t", [("x", "double", "kpc", ""), ("n", "long", "", "")], [(1.5, 7), (2.5, 8)]),
        kind="results",
    )
)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    monkeypatch.setenv("FILAMENT_ALLOW_PRIVATE_HOSTS", "1")
    started: list[Server] = []

    def start(reply: Reply) -> Server:
        started.append(Server(lambda asked: reply if asked.path == "/tap/sync" else None))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tng_api.KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def form() -> Callable[..., AppTest]:
    """Opens the form at a service: form("tap")."""

    def page() -> None:
        import streamlit as st

        from pages._remote import remote

        remote(lambda path: st.session_state.update(fetched=str(path)))

    def start(service: str) -> AppTest:
        app = AppTest.from_function(page, default_timeout=60).run()
        return app.segmented_control(key="remote_service").set_value(service).run()

    return start


def at_service(form: Callable[..., AppTest], url: str, query: str = "SELECT 1") -> AppTest:
    """The form, filled in for a TAP service."""
    app = form("tap")
    app.selectbox(key="remote_tap_service").set_value("Another service").run()
    app.text_input(key="remote_tap_url_Another service").set_value(url)
    app.text_area(key="remote_tap_query_Another service").set_value(query)
    return app.run()


def texts(elements: object) -> str:
    return " ".join(element.value.replace("\\", "") for element in elements)  # type: ignore[attr-defined]


@pytest.mark.parametrize("service", SOURCES)
def test_every_service_begins_with_a_question_that_makes_sense(form: Callable[..., AppTest], service: str) -> None:
    app = form(service)
    assert not app.exception and not app.error
    source = SOURCES[service]
    if service == "tng":
        return
    shown = app.text_area[0].value if service == "tap" else app.code[0].value
    assert shown == source.question(source.example)
    assert not app.button(key="remote_fetch").disabled


def test_what_was_fetched_is_handed_over(form: Callable[..., AppTest], serve: Callable[..., Server]) -> None:
    server = serve(Reply(TABLE, kind="text/xml"))
    app = at_service(form, f"{server.url}/tap", "SELECT x, n FROM t")
    app.number_input(key="remote_tap_rows").set_value(1)
    app.run()
    assert "fetched" not in app.session_state and server.asked == []
    app.button(key="remote_fetch").click().run()
    assert not app.exception and not app.error
    catalog = read_catalog(Path(app.session_state.fetched))
    assert list(catalog.values("x")) == [1.5] and catalog.provenance["truncated"] is True
    assert "QUERY=SELECT+x" in server.asked[0].body


@pytest.mark.parametrize(
    ("reply", "path", "words"),
    [
        (Reply("no", 500), "/tap", "failure of its own"),
        (Reply(TABLE), "/elsewhere", "nothing at this address"),
    ],
)
def test_a_failure_is_one_sentence(
    form: Callable[..., AppTest], serve: Callable[..., Server], reply: Reply, path: str, words: str
) -> None:
    app = at_service(form, serve(reply).url + path)
    app.button(key="remote_fetch").click().run()
    assert not app.exception and words in texts(app.error)
    assert "fetched" not in app.session_state


def test_a_server_address_inside_is_refused(
    form: Callable[..., AppTest], serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(Reply(TABLE))
    monkeypatch.delenv("FILAMENT_ALLOW_PRIVATE_HOSTS")
    app = at_service(form, f"{server.url}/tap")
    app.button(key="remote_fetch").click().run()
    assert "private network" in texts(app.error) and server.asked == []


def test_a_mistake_is_said_before_anything_is_asked(form: Callable[..., AppTest]) -> None:
    app = form("vizier")
    app.text_area(key="remote_vizier_constraints").set_value("cz").run()
    assert "is not a name" in texts(app.error) and app.button(key="remote_fetch").disabled


def test_a_folder_of_the_server_must_be_allowed(
    form: Callable[..., AppTest], data_folder: Path, tmp_path: Path
) -> None:
    app = form("hats")
    app.selectbox(key="remote_hats_catalog").set_value("Another catalog").run()
    app.text_input(key="remote_hats_url_Another catalog").set_value("/etc").run()
    assert "not inside a folder this server may read" in texts(app.error)
    assert app.button(key="remote_fetch").disabled
    (data_folder / "catalog").mkdir()
    app.text_input(key="remote_hats_url_Another catalog").set_value(str(data_folder / "catalog")).run()
    assert not app.error and not app.button(key="remote_fetch").disabled


KEY = "5ecret0f7ng5ecret0f7ng5ecret0f7n"


def everything_shown(app: AppTest) -> str:
    return str(app._tree) + repr(app.session_state) + str(app.query_params)


def test_tng_asks_for_a_key_and_never_shows_it(form: Callable[..., AppTest]) -> None:
    app = form("tng")
    assert "need your API key" in texts(app.info) and app.button(key="remote_fetch").disabled
    app.secrets["FILAMENT_TNG_KEY"] = KEY
    app.run()
    assert not app.info and not app.button(key="remote_fetch").disabled
    assert KEY not in everything_shown(app)


@pytest.mark.parametrize(
    ("what", "words"),
    [("chunks", "chunks 0-1"), ("listing", "mass_stars__gt=1"), ("fields", "SubhaloPos")],
)
def test_tng_says_what_it_would_download(form: Callable[..., AppTest], what: str, words: str) -> None:
    app = form("tng")
    app.segmented_control(key="remote_tng_what").set_value(what).run()
    assert not app.exception and words in app.code[0].value
