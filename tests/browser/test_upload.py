"""The uploader in a real browser: what is dropped or chosen is what lies on disk, and what goes wrong is said."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
APPS = Path(__file__).parent / "apps"
WAIT = 30_000
expect.set_options(timeout=WAIT)
LARGEST_MB = 40


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    settings = {
        "FILAMENT_MAX_UPLOAD_GB": str(LARGEST_MB / 1000),
        "STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "1",
        "TMPDIR": str(tmp_path_factory.mktemp("sessions")),
    }
    return serve(APPS / "upload_app.py", **settings)


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """A new visitor who sees the uploader; an error in the page's JavaScript fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("filechooser", lambda _: None)  # from now on: asked for when a key is pressed, it can come too late
    page.goto(address)
    page.get_by_role("button", name="Choose files").wait_for()
    yield page
    context.close()
    assert not errors


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def choose(page: Any, *paths: Path, button: str = "Choose files") -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=button).click()
    assert chooser.value.is_multiple()
    chooser.value.set_files(list(paths))


def drop(page: Any, *paths: Path) -> None:
    """Drag files or folders from outside the browser onto the drop zone."""
    box = page.locator(".zone").bounding_box()
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
        at = {"x": box["x"] + 40, "y": box["y"] + box["height"] / 2}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})


def network(page: Any, megabytes_per_s: float | None, offline: bool = False) -> None:
    if not hasattr(page, "devtools"):  # what one session limits another one cannot lift
        page.devtools = page.context.new_cdp_session(page)
        page.devtools.send("Network.enable")
    limits = {"offline": offline, "latency": 0, "downloadThroughput": -1}
    upload = -1 if megabytes_per_s is None else megabytes_per_s * 1e6
    page.devtools.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": upload})


def rows(page: Any) -> Any:
    return page.locator(".uploader").get_by_role("listitem")


def told(page: Any, names: list[str] | None = None) -> dict[str, Any]:
    """What Python says, once no older answer stands beside it; and once its files are those of these names."""
    script = """names => {
        const said = document.querySelectorAll("code");
        if (said.length !== 1) return null;
        const told = JSON.parse(said[0].innerText);
        const found = told.files.map(path => path.split("/").pop());
        return names === null || JSON.stringify(found) === JSON.stringify(names) ? told : null;
    }"""
    return page.wait_for_function(script, arg=names, timeout=WAIT).json_value()


def arrived(page: Any, *names: str) -> list[Path]:
    """The files once Python has exactly those of these names."""
    return [Path(path) for path in told(page, sorted(names))["files"]]


def wait(true: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT / 1000
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def on_disk(page: Any) -> list[Path]:
    return [path for path in Path(told(page)["folder"]).rglob("*") if path.is_file()]


def test_a_file_chosen_with_the_keyboard_arrives_byte_for_byte(page: Any, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    path = write(tmp_path, "halos (1).fits", data)
    button = page.get_by_role("button", name="Choose files")
    button.focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(path)
    (file,) = arrived(page, "halos (1).fits")
    assert file.read_bytes() == data
    expect(rows(page)).to_contain_text("20 MB")
    expect(page.locator(".uploader").get_by_role("status")).to_have_text("halos (1).fits has arrived")


def test_a_change_of_theme_while_the_page_loads_leaves_the_uploader_in_place(page: Any) -> None:
    """Streamlit has a call that was overtaken by the next one clean up after both; a slow network makes that common."""
    uploader = page.evaluate(
        """async () => {
            const loaded = performance.getEntriesByType('resource').map(entry => entry.name);
            const { mount } = await import(loaded.find(name => name.endsWith('/upload.js')));
            const parentElement = document.body.appendChild(document.createElement('div'));
            const data = { token: 'test', label: 'Test', largest: 1, most: 1, files: [] };
            const [overtaken, last] = [1, 2].map(() => mount({ data, parentElement, setStateValue() {} }, '/'));
            const button = parentElement.querySelector('button');
            button.focus();
            overtaken();
            const stays = parentElement.querySelector('button') === button && document.activeElement === button;
            parentElement.remove();
            last();
            return { stays, left: parentElement.childElementCount };
        }"""
    )
    assert uploader == {"stays": True, "left": 0}


def test_a_dropped_folder_of_chunks_lands_in_one_folder_and_is_told_once(page: Any, tmp_path: Path) -> None:
    chunks = {f"groups_099.{number}.hdf5": os.urandom(50_000 + number) for number in range(21)}
    for name, data in chunks.items():
        write(tmp_path / "groups", name, data)
    write(tmp_path / "groups", ".DS_Store", b"hidden")
    drop(page, tmp_path / "groups")
    files = arrived(page, *chunks)
    assert {file.name: file.read_bytes() for file in files} == chunks
    assert len({file.parent for file in files}) == 1
    assert len(told(page)["told"]) == 1
    page.get_by_text("21 files, read together").wait_for()


def test_the_next_drop_is_another_catalog_unless_files_are_added(page: Any, tmp_path: Path) -> None:
    drop(page, write(tmp_path, "a.csv", b"x\n1\n"))
    (first,) = arrived(page, "a.csv")
    drop(page, write(tmp_path, "b.csv", b"x\n2\n"))
    arrived(page, "b.csv")
    assert not first.exists()
    choose(page, write(tmp_path, "c.csv", b"x\n3\n"), button="Add files")
    files = arrived(page, "b.csv", "c.csv")
    assert [file.read_bytes() for file in files] == [b"x\n2\n", b"x\n3\n"]
    page.get_by_role("button", name="Remove b.csv").click()
    arrived(page, "c.csv")
    page.get_by_role("button", name="Remove c.csv").click()
    arrived(page)
    expect(rows(page)).to_have_count(0)


def test_the_message_about_a_second_bad_file_is_seen_after_the_first_was_removed(page: Any, tmp_path: Path) -> None:
    bad = write(tmp_path, "a.csv", b"bad")
    message = page.get_by_test_id("stAlert").get_by_text("a.csv is no table.")
    for _ in range(2):  # the very same bytes and name: nothing but the removal lies between
        choose(page, bad)
        arrived(page, "a.csv")
        expect(message).to_be_visible()
        page.get_by_role("button", name="Remove a.csv").click()
        arrived(page)
        expect(message).to_be_hidden()
    choose(page, write(tmp_path, "good.csv", b"x\n1\n"))
    (good,) = arrived(page, "good.csv")
    choose(page, write(tmp_path, "b.csv", b"bad too"))
    page.get_by_test_id("stAlert").get_by_text("b.csv is no table.").wait_for()
    assert told(page)["shown"] == "good.csv" and good.exists()


def test_each_thing_that_goes_wrong_is_said_in_a_sentence_beside_the_file(page: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.fits"
    with large.open("wb") as file:
        file.truncate(LARGEST_MB * 10**6 + 1)
    write(tmp_path / "twice" / "1", "a.csv", b"1")
    write(tmp_path / "twice" / "2", "a.csv", b"2")
    drop(page, large, write(tmp_path, "empty.csv", b""), tmp_path / "twice", write(tmp_path, "good.csv", b"x\n1\n"))
    arrived(page, "a.csv", "good.csv")
    alerts = page.get_by_role("alert")
    assert set(filter(None, alerts.all_inner_texts())) == {
        "“large.fits” has 40 MB, more than the 40 MB a file may have here; keep fewer rows or columns of it.",
        "“empty.csv” is empty; choose another file.",
        "Two files are called “a.csv”; rename one of them or leave it out.",
    }
    # A drop of which nothing can be taken leaves the list as it was.
    drop(page, tmp_path / "empty.csv")
    expect(alerts.filter(has_text="empty.csv")).to_have_count(1)
    expect(alerts.filter(has_text="large.fits")).to_have_count(0)
    assert len(arrived(page, "a.csv", "good.csv")) == 2
    page.get_by_role("button", name="Remove empty.csv").click()
    expect(page.get_by_text("is empty")).to_have_count(0)


def test_names_that_become_equal_on_the_server_are_told_by_the_server(page: Any, tmp_path: Path) -> None:
    drop(page, write(tmp_path, "a:b.csv", b"1"), write(tmp_path, "a*b.csv", b"2"))
    arrived(page, "a_b.csv")
    page.get_by_role("alert").get_by_text("Two files are called 'a_b.csv'; rename one of them").wait_for()


def test_progress_is_shown_and_a_lost_connection_goes_on_where_it_broke(page: Any, tmp_path: Path) -> None:
    data = os.urandom(36_000_000)
    network(page, 8)
    choose(page, write(tmp_path, "big.fits", data))
    row = rows(page)
    expect(row).to_contain_text(re.compile(r"[1-9][\d.]* MB of 36 MB · \d+ s left"))
    bar = row.get_by_role("progressbar", name="big.fits")
    page.wait_for_function("bar => bar.value > 0.3", arg=bar.element_handle())
    network(page, None, offline=True)
    expect(row).to_contain_text("Connection lost, trying again")
    kept = sum(path.stat().st_size for path in on_disk(page))
    assert kept > 0
    requests: list[Any] = []
    page.on("request", lambda request: requests.append(request) if request.method == "PUT" else None)
    network(page, None)
    (file,) = arrived(page, "big.fits")
    assert file.read_bytes() == data
    first = min(int(re.match(r"bytes (\d+)-", request.headers["content-range"])[1]) for request in requests)
    assert first >= kept - 8 * 2**20 and first > 0
    expect(bar).to_be_hidden()


def test_cancelling_removes_what_was_sent(page: Any, tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{number}.fits", os.urandom(30_000_000)) for number in range(3)]
    network(page, 4)
    choose(page, *paths)
    page.get_by_text(re.compile(r"0 of 3 files · [\d.]+ MB of 90 MB")).wait_for()
    wait(lambda: sum(path.stat().st_size for path in on_disk(page)) > 1_000_000)
    page.get_by_role("button", name="Cancel 1.fits").click()
    expect(rows(page)).to_have_count(2)
    wait(lambda: len(on_disk(page)) == 2)
    page.get_by_role("button", name="Cancel all").click()
    expect(rows(page)).to_have_count(0)
    wait(lambda: on_disk(page) == [])
    network(page, None)
    choose(page, write(tmp_path, "next.csv", b"x\n1\n"))
    arrived(page, "next.csv")


def test_a_file_goes_on_being_sent_while_another_page_is_looked_at(page: Any, tmp_path: Path) -> None:
    data = os.urandom(12_000_000)
    network(page, 6)
    choose(page, write(tmp_path, "big.fits", data))
    page.get_by_role("progressbar").wait_for()
    folder = Path(told(page)["folder"])
    page.get_by_role("link", name="Elsewhere").click()
    page.get_by_text("Nothing here").wait_for()
    wait(lambda: any(p.stat().st_size == len(data) for p in folder.rglob("*") if p.is_file() and p.suffix != ".part"))
    page.get_by_role("link", name="Sending").click()
    (file,) = arrived(page, "big.fits")
    assert file.read_bytes() == data
    page.get_by_role("link", name="Elsewhere").click()
    page.get_by_text("Nothing here").wait_for()
    page.get_by_role("link", name="Sending").click()
    expect(rows(page)).to_contain_text("big.fits")
    arrived(page, "big.fits")
    assert len(told(page)["told"]) == 1


def test_a_server_that_forgot_the_session_is_said(page: Any, tmp_path: Path) -> None:
    page.route(
        "**/filament/uploads/*",
        lambda route: route.continue_(headers={**route.request.headers, "x-filament-token": "old"}),
    )
    choose(page, write(tmp_path, "a.csv", b"x\n1\n"))
    page.get_by_role("alert").get_by_text("This page's session has ended; reload the page").wait_for()


def test_a_proxy_that_takes_only_short_requests_gets_short_ones(page: Any, tmp_path: Path) -> None:
    longest = 0

    def proxy(route: Any) -> None:
        nonlocal longest
        length = len(route.request.post_data_buffer or b"")
        if length > 2**20:
            route.fulfill(status=413, body="<html>413 Request Entity Too Large</html>")
        else:
            longest = max(longest, length)
            route.continue_()

    page.route("**/filament/uploads/*", proxy)
    data = os.urandom(3_000_000)
    choose(page, write(tmp_path, "a.fits", data))
    (file,) = arrived(page, "a.fits")
    assert file.read_bytes() == data and 2**18 < longest <= 2**20


def test_what_a_session_sent_goes_when_it_ends(chromium: Any, address: str, tmp_path: Path) -> None:
    def visit() -> tuple[Any, Path]:
        context = chromium.new_context()
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.goto(address)
        page.get_by_role("button", name="Choose files").wait_for()
        return context, page

    context, page = visit()
    choose(page, write(tmp_path, "a.csv", b"x\n1\n"))
    (file,) = arrived(page, "a.csv")
    folder = Path(told(page)["folder"])
    context.close()
    assert file.exists()

    def others_come_and_go() -> bool:
        visit()[0].close()
        return not folder.exists()

    wait(others_come_and_go)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_everything_is_within_reach_of_a_finger(
    chromium: Any, address: str, tmp_path: Path, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    button = page.get_by_role("button", name="Choose files")
    with page.expect_file_chooser() as chooser:
        button.tap()
    chooser.value.set_files([write(tmp_path, f"{'long ' * 30}{number}.csv", b"x\n1\n") for number in range(2)])
    page.get_by_text("2 files, read together").wait_for()
    for target in (button, page.get_by_role("button", name=re.compile("^Remove")).first):
        assert target.bounding_box()["height"] >= 44
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not page.get_by_text("Drop a").is_visible()
    context.close()


@pytest.mark.slow
def test_six_hundred_chunks_come_as_one_catalog_and_a_disk_full_of_files_does_not(page: Any, tmp_path: Path) -> None:
    for number in range(600):
        write(tmp_path / "groups" / f"{number % 7}", f"fof_subhalo_tab_099.{number}.hdf5", b"%d" % number)
    drop(page, tmp_path / "groups")
    files = arrived(page, *(f"fof_subhalo_tab_099.{number}.hdf5" for number in range(600)))
    assert all(file.read_bytes() == file.name.split(".")[1].encode() for file in files)
    expect(rows(page)).to_have_count(200)
    page.get_by_text("and 400 more").wait_for()
    for number in range(5001):
        write(tmp_path / "many", f"{number}.txt", b"x")
    drop(page, tmp_path / "many")
    page.get_by_role("alert").get_by_text("These are too many files to be one catalog").wait_for()
    assert len(told(page)["files"]) == 600


def test_the_drop_zone_shows_that_it_would_take_a_file_and_stops_when_that_moves_on(page: Any, tmp_path: Path) -> None:
    zone = page.locator(".zone")
    box, devtools = zone.bounding_box(), page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(write(tmp_path, "a.csv", b"x"))], "dragOperationsMask": 1}
    for kind, below, look in (
        ("dragEnter", 3, "zone over"),
        ("dragOver", 20, "zone over"),
        ("dragOver", -40, "zone"),
    ):
        at = {"x": box["x"] + 40, "y": box["y"] + below}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
        expect(zone).to_have_class(look)
