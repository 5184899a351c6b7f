"""Several runs side by side."""

from __future__ import annotations

from gnnlib.training.compare import differences, same_test

from .conftest import run_spec


def test_only_settings_that_differ_are_listed(halos):
    one = run_spec(halos, name="one")
    other = one.model_copy(
        update={"name": "other", "epochs": 9, "model": one.model.model_copy(update={"depth": 2}), "buffer": 1.5}
    )
    table = differences({"a": one, "b": other}).set_index("setting")
    assert set(table.index) == {"epochs", "model depth", "buffer"}
    assert table.loc["model depth"].tolist() == ["1", "2"]
    assert table.loc["buffer"].tolist() == ["", "1.5"]
    assert differences({"a": one, "b": one}).empty


def test_scores_compare_where_target_rows_and_folds_are_the_same(halos):
    one = run_spec(halos)
    deeper = one.model_copy(update={"model": one.model.model_copy(update={"depth": 2})})
    assert same_test([one, deeper])
    assert not same_test([one, one.model_copy(update={"folds": 4})])
    assert not same_test([one, one.model_copy(update={"target": "log10(mass)"})])
