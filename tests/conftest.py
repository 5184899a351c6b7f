"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("untimed")

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real catalogs beside the project; tests that need it are skipped where it is missing."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real catalogs (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def tng_chunks(shared_data: Path) -> Path:
    """21 chunks of the TNG100-1 group catalog at z = 0, one of them empty."""
    return shared_data / "sim" / "tng100-1_subfind" / "groups_099"
