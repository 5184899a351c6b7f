"""Named starting points for a run: partial `RunSpec` fields that a page or a command line fills up."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "model": {"name": "attention", "hidden": 32, "latent": 16, "heads": 4},
        "epochs": 20,
        "folds": 3,
    },
    "standard": {
        "model": {"name": "attention", "hidden": 64, "latent": 32, "heads": 4, "unshared": 4},
        "epochs": 300,
        "folds": 6,
    },
}
