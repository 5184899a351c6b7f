"""The Catalog page: every choice lands in the spec, a refused one changes nothing and keeps what was typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

Session = Callable[..., AppTest]
SECTIONS = ("Table", "Columns", "Space", "Gaps", "Subsets", "New columns")


def galaxies(rows: int = 250, seed: int = 3) -> pd.DataFrame:
    """A survey in a box with names, magnitudes of which some are missing, and masses of which some are zero."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.uniform(0, 40, (rows, 3)).round(4), columns=["x", "y", "z"])
    frame["name"] = [f"NGC {number}" for number in rng.permutation(rows) + 1000]
    frame["rmag"] = rng.uniform(12, 18, rows).round(3)
    frame.loc[:6, "rmag"] = -99.99
    frame["mass"] = (10 ** rng.uniform(9, 12, rows)).round(0)
    frame.loc[rows - 20 :, "mass"] = 0.0
    return frame


@pytest.fixture
def survey(data_folder: Path) -> Path:
    path = data_folder / "survey.csv"
    galaxies().to_csv(path, index=False)
    return path


@pytest.fixture
def opened(session: Session, survey: Path) -> AppTest:
    """The Catalog page with the survey in view."""
    return read(session("catalog"), survey.name)


def read(app: AppTest, path: str) -> AppTest:
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value(path).run()
    fine(app)
    return app


def section(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="catalog_section").set_value(name).run()
    fine(app)
    return app


def fine(app: AppTest) -> None:
    assert not app.exception, app.exception[0].stack_trace
    assert not app.error, app.error[0].value


def spec(app: AppTest):  # type: ignore[no-untyped-def]
    return app.session_state["catalog_spec"]


def figure(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def grid(app: AppTest) -> pd.DataFrame:
    """The table of the Table section; files and selected rows stand before it."""
    return [table.value for table in app.dataframe if "__row__" in table.value][-1]


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info, *app.warning])


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_shows_the_sample_without_trouble(session: Session, name: str) -> None:
    app = section(session("catalog"), name)
    assert app.get("plotly_chart"), "no figure"
    assert any(button.key == "next_step" for button in app.button), "no next step"


# The table


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n1,2,3\n",
        "x\n1\n2\n",
        "<b>x</b>,y:$1$,z,gap,same\n1,2,inf,,5\n3,4,-inf,,5\n",
        "ra,dec,z\n10.5,-0.5,-1\n10.6,91,0\n",
    ],
    ids=["one row", "one column", "markup and gaps", "no place in space"],
)
def test_the_least_of_tables_breaks_no_section(session: Session, data_folder: Path, text: str) -> None:
    (data_folder / "odd.csv").write_text(text)
    app = read(session("catalog"), "odd.csv")
    for name in SECTIONS:
        section(app, name)


def test_the_table_sorts_all_rows_and_not_only_those_in_view(opened: AppTest, survey: Path) -> None:
    table = pd.read_csv(survey)
    opened.selectbox(key="table_sort").set_value("rmag").run()
    opened.toggle(key="table_down").set_value(True).run()
    fine(opened)
    shown = grid(opened)
    assert len(shown) == 100
    expected = table.sort_values("rmag", ascending=False, kind="stable")
    assert shown["name"].tolist() == expected["name"].tolist()[:100]


def test_rows_are_found_by_a_part_of_their_name_and_by_their_id(opened: AppTest, survey: Path) -> None:
    table = pd.read_csv(survey)
    opened.text_input(key="table_find").set_value("ngc 1042").run()
    fine(opened)
    assert grid(opened)["name"].tolist() == ["NGC 1042"]
    opened.text_input(key="table_find").set_value("nothing like it").run()
    fine(opened)
    assert "No row has" in said(opened)
    assert len(table) == int(figure(opened, "Rows"))


def test_an_object_selected_elsewhere_is_on_the_page_of_the_table_that_is_shown(opened: AppTest, survey: Path) -> None:
    name = pd.read_csv(survey)["name"][180]
    opened.session_state["selection"] = (name,)
    opened.run()
    fine(opened)
    assert name in grid(opened)["name"].tolist()
    rows = opened.session_state["table_grid"]["selection"]["rows"]
    assert grid(opened)["name"].tolist()[rows[0]] == name
    above = next(table.value for table in opened.dataframe if "__row__" in table.value)
    assert above["name"].tolist() == [name]


# Columns


def test_a_file_without_a_header_is_named_and_its_roles_follow(session: Session, data_folder: Path) -> None:
    galaxies()[["x", "y", "z", "mass"]].to_csv(data_folder / "bare.txt", sep=" ", header=False, index=False)
    app = section(read(session("catalog"), "bare.txt"), "Columns")
    assert app.text_input(key="names").value == "col1, col2, col3, col4"
    app.text_input(key="names").set_value("x, y, z").run()
    assert len(app.error) == 1 and "3 names for 4 columns" in app.error[0].value
    assert app.text_input(key="names").value == "x, y, z"
    app.text_input(key="names").set_value("x, y, z, mvir").run()
    fine(app)
    assert spec(app).names == ("x", "y", "z", "mvir")
    assert app.multiselect(key="role_position").value == ["x", "y", "z"]
    assert app.selectbox(key="role_mass").value == "mvir"


def test_a_role_is_chosen_and_the_others_stay_as_found(opened: AppTest) -> None:
    app = section(opened, "Columns")
    app.selectbox(key="role_target").set_value("rmag").run()
    fine(app)
    assert spec(app).roles.model_dump() == {"target": "rmag"}
    app.selectbox(key="role_target").set_value("name").run()
    assert len(app.error) == 1 and "does not hold numbers" in app.error[0].value
    assert spec(app).roles.target == "rmag"


# Gaps


def test_values_that_stand_for_missing_ones_are_offered_and_masked(opened: AppTest) -> None:
    assert figure(opened, "Sentinels") == "7"
    app = section(opened, "Gaps")
    app.button(key="mask_all").click().run()
    fine(app)
    assert spec(app).missing["rmag"].rule == "mask"
    assert spec(app).missing["rmag"].values == (-99.99,)
    assert (figure(app, "Sentinels"), figure(app, "Missing values")) == ("0", "7")
    assert figure(app, "Rows") == "250"


def test_a_rule_for_another_column_cuts_the_rows_without_a_value(opened: AppTest) -> None:
    app = section(opened, "Gaps")
    app.selectbox(key="gap_column").set_value("mass")
    app.text_input(key="gap_values").set_value("0")
    app.selectbox(key="gap_rule").set_value("drop")
    next(button for button in app.button if button.label == "Add").click().run()
    fine(app)
    assert (figure(app, "Rows"), figure(app, "Cut away")) == ("230", "20")


# Subsets


def test_a_subset_is_counted_while_it_is_written_and_put_in_force(opened: AppTest, survey: Path) -> None:
    table = pd.read_csv(survey)
    app = section(opened, "Subsets")
    app.text_input(key="new_name").set_value("bright")
    app.text_input(key="new_condition").set_value("0 < rmag < 14").run()
    count = int(((table["rmag"] > 0) & (table["rmag"] < 14)).sum())
    assert f"{count} of 250 rows" in said(app)
    app.button(key="add_subset").click().run()
    fine(app)
    assert spec(app).subsets == {"bright": "0 < rmag < 14"} and spec(app).where is None
    app.toggle(key="subset_0_use").set_value(True).run()
    fine(app)
    assert spec(app).where == "bright"
    assert figure(app, "Rows") == str(count)
    app.text_input(key="subset_0_name").set_value("very bright").run()
    fine(app)
    assert spec(app).where == "`very bright`" and spec(app).subsets == {"very bright": "0 < rmag < 14"}
    app.button(key="subset_0_away").click().run()
    fine(app)
    assert spec(app).where is None and not spec(app).subsets


def test_a_cut_that_is_refused_stays_written_beside_its_sentence_until_it_is_mended(opened: AppTest) -> None:
    app = section(opened, "Subsets")
    app.text_input(key="cut").set_value("mas > 1e10").run()
    assert len(app.error) == 1 and "did you mean 'mass'" in app.error[0].value
    assert spec(app).where is None
    section_again = app.segmented_control(key="catalog_section")
    section_again.set_value("Columns").run()
    app.segmented_control(key="catalog_section").set_value("Subsets").run()
    assert app.text_input(key="cut").value == "mas > 1e10" and len(app.error) == 1
    app.text_input(key="cut").set_value("mass > 1e10").run()
    fine(app)
    assert spec(app).where == "mass > 1e10"


def test_a_suggested_cut_is_one_click(opened: AppTest) -> None:
    app = section(opened, "Subsets")
    app.button(key="suggested_positive_mass").click().run()
    fine(app)
    assert spec(app).subsets == {"positive_mass": "mass > 0"}
    assert figure(app, "Rows") == "230"


def test_a_cut_is_kept_as_a_subset_under_a_name(opened: AppTest) -> None:
    app = section(opened, "Subsets")
    app.text_input(key="cut").set_value("mass > 1e10").run()
    app.text_input(key="cut_name").set_value("heavy").run()
    app.button(key="name_cut").click().run()
    fine(app)
    assert (spec(app).subsets, spec(app).where) == ({"heavy": "mass > 1e10"}, "heavy")


# New columns


def test_a_derived_column_is_previewed_added_and_used(opened: AppTest) -> None:
    app = section(opened, "New columns")
    app.text_input(key="new_column").set_value("log_mass")
    app.text_input(key="new_expression").set_value("log10(mass)").run()
    assert "rows without a value" in said(app) or "median" in said(app)
    app.button(key="add_column").click().run()
    fine(app)
    assert spec(app).derived == {"log_mass": "log10(mass)"}
    app = section(app, "Subsets")
    app.text_input(key="cut").set_value("log_mass > 11").run()
    fine(app)
    assert 0 < int(figure(app, "Rows")) < 250


def test_a_column_that_cannot_be_worked_out_is_refused_and_stays_written(opened: AppTest) -> None:
    app = section(opened, "New columns")
    app.text_input(key="new_column").set_value("worse")
    app.text_input(key="new_expression").set_value("log10(maas)").run()
    app.button(key="add_column").click().run()
    assert not app.exception
    assert len(app.error) == 1 and "maas" in app.error[0].value
    assert app.text_input(key="new_expression").value == "log10(maas)"
    assert spec(app).derived == {}


# Space


def test_box_and_periodic_axes_are_said_one_by_one(opened: AppTest) -> None:
    app = section(opened, "Space")
    app.text_input(key="box").set_value("wide").run()
    assert len(app.error) == 1 and "wide" in app.error[0].value
    assert app.text_input(key="box").value == "wide"
    app.text_input(key="box").set_value("40").run()
    fine(app)
    next(pills for pills in app.get("button_group") if pills.key == "periodic").set_value(["x", "y"]).run()
    fine(app)
    assert spec(app).box == (40, 40, 40) and spec(app).periodic == (True, True, False)


def test_another_unit_of_length_keeps_the_graph(opened: AppTest) -> None:
    app = opened
    app.session_state["catalog_spec"] = spec(app).model_copy(
        update={"units": dict.fromkeys("xyz", "Mpc"), "box": (40.0, 40.0, 40.0), "periodic": True}
    )
    app.session_state["graph_spec"] = None
    app.switch_page("graph.py").run()
    fine(app)
    edges, radius = figure(app, "Edges"), app.number_input(key="graph_radius").value
    app.selectbox(key="shown_lengths").set_value("kpc").run()
    fine(app)
    assert app.number_input(key="graph_radius").value == pytest.approx(1000 * radius, rel=1e-5)
    assert figure(app, "Edges") == edges
    assert spec(app).box == pytest.approx((40_000,) * 3) and spec(app).lengths == "kpc"


def test_a_length_that_needs_an_unknown_h_is_refused_in_a_sentence(opened: AppTest) -> None:
    app = opened
    app.session_state["catalog_spec"] = spec(app).model_copy(update={"units": dict.fromkeys("xyz", "Mpc")})
    app.run()
    app.selectbox(key="shown_lengths").set_value("Mpc/h").run()
    assert not app.exception
    assert len(app.error) == 1 and "h" in app.error[0].value
    assert spec(app).lengths is None


# Large files and files of several tables


def test_a_large_file_shows_its_first_rows_and_is_read_when_asked_to(
    session: Session, survey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages._catalog_source.LARGE", 1000)
    app = session("catalog")
    app.segmented_control(key="source").set_value("path").run()
    app.text_input(key="path").set_value(survey.name).run()
    fine(app)
    assert spec(app).path == "sample"
    first = next(table.value for table in app.dataframe if "rmag" in table.value)
    assert first["name"].tolist() == pd.read_csv(survey)["name"].tolist()[: len(first)]
    app.button(key="cancel_load").click().run()
    assert not [button for button in app.button if button.key == "load"]
    app.text_input(key="path").set_value(str(survey)).run()
    app.button(key="load").click().run()
    fine(app)
    assert figure(app, "Rows") == "250" and spec(app).path == str(survey)


def test_a_file_of_several_tables_lets_one_choose(session: Session, data_folder: Path) -> None:
    table = galaxies(60)
    np.savez(data_folder / "two.npz", big=table[["x", "y", "z"]].to_records(index=False), small=np.arange(20.0))
    app = read(session("catalog"), "two.npz")
    assert figure(app, "Rows") == "60"
    chooser = app.selectbox(key="table_read")
    assert len(chooser.options) == 2
    chooser.set_value(next(name for name in chooser.options if name != chooser.value)).run()
    fine(app)
    assert figure(app, "Rows") == "20"


# All choices


def test_choices_can_be_taken_back_and_forgotten(opened: AppTest) -> None:
    app = section(opened, "Subsets")
    app.text_input(key="cut").set_value("mass > 1e10").run()
    app.text_input(key="cut").set_value("mass > 1e11").run()
    app.button(key="undo").click().run()
    fine(app)
    assert spec(app).where == "mass > 1e10" and app.text_input(key="cut").value == "mass > 1e10"
    app.button(key="reset").click().run()
    fine(app)
    assert spec(app).model_dump(exclude_defaults=True) == {"path": spec(app).path}


def test_a_link_opens_the_same_catalog_with_the_same_choices(opened: AppTest, session: Session) -> None:
    app = section(opened, "Subsets")
    app.text_input(key="cut").set_value("mass > 1e10").run()
    link = "".join(app.query_params["catalog"])
    other = session("catalog", catalog=link)
    fine(other)
    assert spec(other) == spec(app)


def test_a_link_to_a_file_that_may_not_be_read_is_refused(
    opened: AppTest, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "".join(opened.query_params["catalog"])
    monkeypatch.setenv("FILAMENT_DATA_DIRS", "")
    for text in (link, link[:-9], "%%%", ""):
        other = session("catalog", catalog=text)
        assert not other.exception
        assert spec(other).path == "sample"


def test_a_changed_role_unit_or_cut_does_not_read_the_file_again(
    opened: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(*_: object) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr("pages._session.read_raw", no)
    app = section(opened, "Subsets")
    app.text_input(key="cut").set_value("mass > 1e10").run()
    app = section(app, "Columns")
    app.selectbox(key="role_target").set_value("rmag").run()
    fine(app)
    assert spec(app).roles.target == "rmag"
