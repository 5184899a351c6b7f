"""How much memory the server takes for a large upload, beside Streamlit's own uploader in the same run: a real browser,
a real server each, the bytes on disk compared. Sizes are asserted, times are printed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import chromium, serve  # noqa: F401

pytestmark = pytest.mark.benchmark
APP = Path(__file__).parents[1] / "browser" / "apps" / "upload_app.py"
SIZE = 600_000_000
WAIT = 240_000


def memory(process: int, name: str) -> int:
    """VmRSS or VmHWM (the greatest VmRSS since `forget_peak`) in bytes."""
    text = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(re.search(rf"{name}:\s+(\d+) kB", text)[1])  # type: ignore[index]


def forget_peak(process: int) -> None:
    Path(f"/proc/{process}/clear_refs").write_text("5")


def uploaded(chromium: Any, address: str, file: Path, done: str) -> tuple[int, float, dict[str, Any]]:  # noqa: F811
    """Send `file`; growth of the server's memory at its peak in bytes, seconds, and what the page then says."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.get_by_test_id("stCode").wait_for()
    process = int(re.search(r"\d+", page.get_by_text("Process").inner_text())[0])  # type: ignore[index]
    before = memory(process, "VmRSS")
    forget_peak(process)
    start = time.perf_counter()
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_function(
        f"() => {{ const told = JSON.parse(document.querySelector('code').innerText); return {done} }}"
    )
    seconds = time.perf_counter() - start
    growth = memory(process, "VmHWM") - before
    said = json.loads(page.locator("code").inner_text())
    if "folder" in said:  # gone with the session
        kept = Path(said["files"][0])
        said["sha256"] = hashlib.file_digest(kept.open("rb"), "sha256").hexdigest()
    context.close()
    return growth, seconds, said


def test_a_large_upload_never_lies_in_memory(
    chromium: Any,  # noqa: F811
    serve: Callable[..., str],  # noqa: F811
    tmp_path: Path,
) -> None:
    file = tmp_path / "large.fits"
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for _ in range(SIZE // 10**7):
            block = os.urandom(10**7)
            digest.update(block)
            out.write(block)
    ours, seconds, said = uploaded(chromium, serve(APP, TMPDIR=str(tmp_path)), file, "told.files.length === 1")
    assert said["sha256"] == digest.hexdigest()
    peer_address = serve(APP, STREAMLIT_SERVER_MAX_UPLOAD_SIZE="700") + "/peer"
    peer, peer_seconds, peer_said = uploaded(chromium, peer_address, file, "told.files.length === 1")
    assert peer_said["bytes"] == SIZE
    shutil.rmtree(tmp_path)
    print(f"\n{SIZE / 1e6:.0f} MB sent: the server grew by {ours / 1e6:.0f} MB in {seconds:.1f} s;")
    print(f"with st.file_uploader by {peer / 1e6:.0f} MB in {peer_seconds:.1f} s (ratio {ours / peer:.3f}).")
    assert ours < SIZE / 10
    assert ours < peer / 5
