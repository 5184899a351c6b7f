"""Uploads that go to disk as they come: a Streamlit component (upload.js) and the routes that take its files."""

from __future__ import annotations

from gnnlib.view.upload.component import upload

__all__ = ["upload"]
