"""Where a run errs: by bins of a column and by kind, how far its sigma can be trusted, and how two runs differ."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from gnnlib.errors import InputError

LEVELS = np.round(np.arange(0.05, 1.0, 0.05), 2)


def unit_of(target: str) -> str:
    """What changes of a target are counted in: "dex" for a logarithm, else nothing."""
    return "dex" if target.strip().startswith("log10") else ""


def percentile(residuals: np.ndarray, residual: float) -> float:
    """Per cent of the objects whose residual is smaller in size."""
    sizes = np.abs(residuals[np.isfinite(residuals)])
    return 100.0 * float(np.mean(sizes < abs(residual)))


def by_bins(values: np.ndarray, residual: np.ndarray, kind: np.ndarray | None = None, bins: int = 8) -> pd.DataFrame:
    """Errors in bins of `values` [N] with equal counts, for all objects and for each kind.

    kind: [N] bool, True for centrals, or None. Columns: kind ("all", "centrals", "satellites"), low, high (of the bin),
    centre (median of the values), objects, bias (mean residual), rmse, nmad (1.4826 x median absolute deviation).
    Rows that are not finite are left out, and bins of a kind without objects too.
    """
    good = np.isfinite(values) & np.isfinite(residual)
    values, residual = values[good], residual[good]
    kinds = {"all": np.ones(len(values), dtype=bool)}
    if kind is not None:
        kinds |= {"centrals": kind[good], "satellites": ~kind[good]}
    bounds = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1))) if len(values) else np.empty(0)
    place = np.clip(np.searchsorted(bounds, values, side="right") - 1, 0, max(len(bounds) - 2, 0))
    rows = []
    for name, mask in kinds.items():
        for number in range(len(bounds) - 1):
            own = mask & (place == number)
            if own.any():
                part = residual[own]
                nmad = 1.4826 * float(np.median(np.abs(part - np.median(part))))
                rmse = float(np.sqrt(np.mean(part**2)))
                centre = float(np.median(values[own]))
                rows.append((name, *bounds[number : number + 2], centre, len(part), part.mean(), rmse, nmad))
    return pd.DataFrame(rows, columns=["kind", "low", "high", "centre", "objects", "bias", "rmse", "nmad"])


def calibration(truth: np.ndarray, prediction: np.ndarray, sigma: np.ndarray) -> pd.DataFrame:
    """How many truths lie inside the central interval of a Gaussian of each level: level, inside. Both 0 to 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = np.abs(truth - prediction) / sigma
    pull = pull[np.isfinite(pull)]
    if not len(pull):
        return pd.DataFrame({"level": LEVELS, "inside": np.full(len(LEVELS), np.nan)})
    reach = np.array([NormalDist().inv_cdf(0.5 + level / 2) for level in LEVELS])
    return pd.DataFrame({"level": LEVELS, "inside": (pull[:, None] <= reach).mean(axis=0)})


def paired(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Two runs point by point: row_id, truth, first, second (predictions), residual_first, residual_second, gain.

    gain: how much smaller the second's residual is in size. The rows are those that both runs predicted. Raises
    InputError where there are none or where the runs have other truths for the same objects.
    """
    table = first[["row_id", "truth", "prediction"]].merge(
        second[["row_id", "truth", "prediction"]], on="row_id", suffixes=("_first", "_second")
    )
    if table.empty:
        raise InputError("The two runs have no object in common; choose runs on the same catalog.")
    if not np.allclose(table["truth_first"], table["truth_second"], rtol=1e-4, atol=1e-6):
        raise InputError("The two runs predict different targets, so their residuals cannot be compared.")
    out = pd.DataFrame(
        {
            "row_id": table["row_id"],
            "truth": table["truth_first"],
            "first": table["prediction_first"],
            "second": table["prediction_second"],
        }
    )
    for name in ("first", "second"):
        out[f"residual_{name}"] = out[name] - out["truth"]
    out["gain"] = out["residual_first"].abs() - out["residual_second"].abs()
    return out


def paired_summary(table: pd.DataFrame) -> dict[str, float]:
    """Of `paired`: rows, rmse_first, rmse_second, better (share of rows where the second is closer), and certainty: the
    difference of the mean squared errors, first minus second, in its standard errors.
    """
    squares = table["residual_first"] ** 2 - table["residual_second"] ** 2
    spread = float(squares.std() / np.sqrt(len(table))) if len(table) > 1 else 0.0
    return {
        "rows": len(table),
        "rmse_first": float(np.sqrt(np.mean(table["residual_first"] ** 2))),
        "rmse_second": float(np.sqrt(np.mean(table["residual_second"] ** 2))),
        "better": float((table["gain"] > 0).mean()),
        "certainty": float(squares.mean() / spread) if spread else 0.0,
    }
