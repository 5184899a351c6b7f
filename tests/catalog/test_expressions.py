"""Cuts, targets and features: the grammar against numpy, and everything that must be refused."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog.expressions import evaluate, evaluate_condition, names_in, quote, renamed
from gnnlib.catalog.select import select
from gnnlib.catalog.table import Catalog, CatalogSpec, Column, Roles
from gnnlib.errors import InputError


def catalog(**columns: object) -> Catalog:
    table = pd.DataFrame(columns)
    return Catalog(
        table=table,
        columns={name: Column(name) for name in table.columns},
        roles=Roles(),
        row_ids=np.arange(len(table)) * 10,
        spec=CatalogSpec(path="none"),
        name="none",
    )


A = np.array([0.5, -2.0, 3.0, 0.0, np.nan])
B = np.array([2.0, 2.0, 0.25, 1.0, 1.0])
N = np.array([1, 2, 3, 4, 5])
F = np.array([True, False, True, True, False])
IDS = np.array([1237648703509102769, 1237648703509102770, 3, 4, 5])
TABLE = catalog(a=A, b=B, n=N, f=F, id=IDS, zero_one=F.astype(int), kind=["E", "L", "E", None, "L"], **{"M<300pc": B})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", A + B * 2),
        ("-b ** 2", -(B**2)),
        ("2 ** 3 ** 2", np.full(5, 512.0)),
        ("2 ** -b", 2.0**-B),
        ("a - b - 1", A - B - 1),
        ("b / n % 2", B / N % 2),
        ("(a + b) * n", (A + B) * N),
        ("n ** -1", 1.0 / N),
        ("log10(n) + log(b) + exp(a) + sqrt(b) + abs(a)", np.log10(N) + np.log(B) + np.exp(A) + np.sqrt(B) + np.abs(A)),
        ("min(a, b) + max(n, 3)", np.minimum(A, B) + np.maximum(N, 3)),
        ("min(n, 4, b) - max(1, n, 2)", np.minimum(N, B) - np.maximum(N, 2)),
        ("ln(b) + power(n, 2)", np.log(B) + N**2.0),
        ("sin(b) + cos(b) + tan(b)", np.sin(B) + np.cos(B) + np.tan(B)),
        ("arcsin(b / 2) + arccos(b / 2) + arctan(a)", np.arcsin(B / 2) + np.arccos(B / 2) + np.arctan(A)),
        ("degrees(arctan2(n, b)) - radians(n)", np.degrees(np.arctan2(N, B)) - np.radians(N)),
        ("floor(a) + ceil(b) + round(b) + sign(a)", np.floor(A) + np.ceil(B) + np.round(B) + np.sign(A)),
        ("median(a) + mean(b)", np.full(5, 0.25 + B.mean())),
        ("std(n) + percentile(n, 25)", np.full(5, N.std() + 2)),
        ("where(f, a, -1)", np.where(F, A, -1)),
        ("`M<300pc` * 2", B * 2),
        ("M<300pc", B),
        ("1e3", np.full(5, 1e3)),
        (".5 + 1.", np.full(5, 1.5)),
    ],
)
def test_arithmetic_agrees_with_numpy(text: str, expected: np.ndarray) -> None:
    got = evaluate(text, TABLE)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n > 1 & f", (N > 1) & F),
        ("n > 1 & n < 4 | f", ((N > 1) & (N < 4)) | F),
        ("f | n > 1 & n < 3", F | ((N > 1) & (N < 3))),
        ("n > 1 and not f or n == 1", ((N > 1) & ~F) | (N == 1)),
        ("not n > 2 & f", ~(N > 2) & F),
        ("~f & n >= 2", ~F & (N >= 2)),
        ("1 < n <= 3", (N > 1) & (N <= 3)),
        ("1 < n < 4 != 9", (N > 1) & (N < 4)),
        ("n + 1 > b * 2 && isfinite(a)", (N + 1 > B * 2) & np.isfinite(A)),
        ("a > 0", A > 0),
        ("zero_one & n > 1", F & (N > 1)),
        ("kind == 'E'", np.array([True, False, True, False, False])),
        ('kind != "E"', ~np.array([True, False, True, False, False])),
        ("id == 1237648703509102769", IDS[0] == IDS),
        ("f", F),
        ("NOT f", ~F),
        ("isnan(a) | isnan(kind)", np.array([False, False, False, True, True])),
        ("n in (1, 3, 7)", (N == 1) | (N == 3)),
        ("n not in (1, 3) & f", ~np.isin(N, (1, 3)) & F),
        ("a in (-2, 0.5)", np.isin(A, (-2, 0.5))),
        ("id in (1237648703509102769)", IDS[0] == IDS),
        ("kind in ('E', 'S0')", np.array([True, False, True, False, False])),
        ("kind not in ('E')", np.array([False, True, False, True, True])),
        ("contains(kind, 'E') | startswith(kind, 'L')", np.array([True, True, True, False, True])),
        ("kind == kind", np.array([True, True, True, False, True])),
        ("duplicate(kind)", np.array([False, False, True, False, True])),
        ("duplicate(b, f)", np.array([False, False, False, False, False])),
        ("n > percentile(n, 50)", N > 3),
        ("abs(n - median(n)) < 2 * std(n)", np.full(5, True)),
    ],
)
def test_conditions_bind_comparisons_tighter_than_and_and_or(text: str, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(evaluate_condition(text, TABLE), expected)


def test_logarithm_of_zero_is_silent_infinity() -> None:
    assert evaluate("log10(a)", TABLE)[3] == -np.inf


numbers = st.sampled_from(["a", "b", "n", "2", "0.5"])
sums = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    max_leaves=6,
)


@given(left=sums, right=sums, third=sums, first=st.sampled_from("+-*"), second=st.sampled_from("+-*"))
@settings(max_examples=150, deadline=None)
def test_arithmetic_of_any_shape_equals_the_same_tree_in_numpy(left, right, third, first, second) -> None:  # type: ignore[no-untyped-def]
    steps = {"+": operator.add, "-": operator.sub, "*": operator.mul}

    def reference(text: str) -> np.ndarray:
        """An independent reading: fully bracketed, so one split at depth 0 is enough."""
        if text in ("a", "b", "n"):
            return np.asarray(TABLE.table[text], dtype=np.float64)
        if not text.startswith("("):
            return np.full(5, float(text))
        depth = 0
        for at, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if depth == 1 and letter in "+-*" and text[at - 1] == " ":
                return steps[letter](reference(text[1:at].strip()), reference(text[at + 1 : -1].strip()))
        raise AssertionError(text)

    one, two, three = reference(left), reference(right), reference(third)
    if second == "*" and first != "*":
        expected = steps[first](one, steps[second](two, three))
    else:
        expected = steps[second](steps[first](one, two), three)
    np.testing.assert_array_equal(evaluate(f"{left} {first} {right} {second} {third}", TABLE), expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "__import__('os').system('true')",
        "a.__class__",
        "().__class__",
        "open('x')",
        "eval('1')",
        "a[0]",
        "a if f else b",
        "lambda: 1",
        "[x for x in a]",
        "a = 1",
        "a; b",
        "a b",
        "a +",
        "(a",
        "a)",
        "log10()",
        "log10(a, b)",
        "sinh(a)",
        "a > ",
        "'E'",
        "kind",
        "kind + 1",
        "kind > 'E'",
        "kind == 1",
        "a & f",
        "~a",
        "f(1)",
        "n in ()",
        "n in (a)",
        "n in 1",
        "n in ('E')",
        "n in (1, 'E')",
        "kind in (1)",
        "n in (1, 2",
        "n not (1)",
        "percentile(n, 101)",
        "percentile(n, n)",
        "contains(n, 'E')",
        "contains(kind, kind)",
        "contains('E', 'E')",
        "min(n)",
        "group_max(kind, kind)",
        "group_size(3)",
        "is_central(kind)",
        "`a",
        "'a",
        "1e8x",
        "0x10",
        "a @ b",
        "{a}",
        "a\\b",
        "\x00",
        "(" * 500 + "a" + ")" * 500,
        "-" * 500 + "a",
        "not " * 400 + "f",
        "+".join(["a"] * 900),
        "2 **" * 300 + "2",
        "a" * 5000,
    ],
)
def test_everything_outside_the_grammar_is_refused_in_one_short_sentence(text: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(text, TABLE)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300


@given(st.text(alphabet="ab nf()+-*/%<>=&|~!'\"`.,_[]{}:;#@0129eE\n\t$\\", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_evaluates_or_raises_input_error(text: str) -> None:
    try:
        result = evaluate(text, TABLE)
    except InputError:
        return
    assert result.shape == (5,) and result.dtype in (np.float64, np.bool_)


def test_towers_of_powers_overflow_instead_of_hanging() -> None:
    assert np.isinf(evaluate("9 ** 9 ** 9 ** 9", TABLE)).all()


def test_unknown_names_are_placed_and_the_closest_one_suggested() -> None:
    with pytest.raises(InputError, match=r"no column 'Kind' \(character 9\); did you mean 'kind'"):
        evaluate("n > 1 & Kind == 'E'", TABLE)
    with pytest.raises(InputError, match=r"no function 'lg10' \(character 7\); did you mean 'log10'"):
        evaluate("b > 1/lg10(a)", TABLE)
    with pytest.raises(InputError, match="did you mean 'bright'"):
        evaluate("brigt & f", with_subsets(bright="n > 3"))


@pytest.mark.parametrize("kind", ["object", "str", "string", "category"])
def test_every_way_pandas_stores_text_compares_alike(kind: str) -> None:
    table = catalog(kind=pd.Series(["E", "L", None, "E"], dtype=kind))
    np.testing.assert_array_equal(evaluate("kind == 'E'", table), [True, False, False, True])
    np.testing.assert_array_equal(evaluate("kind != 'E'", table), [False, True, True, False])
    np.testing.assert_array_equal(evaluate("isnan(kind)", table), [False, False, True, False])


def test_numbers_with_gaps_of_pandas_are_numbers() -> None:
    table = catalog(n=pd.array([1, None, 3], dtype="Int64"))
    np.testing.assert_array_equal(evaluate("n * 2", table), [2, np.nan, 6])


def test_single_precision_is_compared_as_it_is_written() -> None:
    table = catalog(mag=np.array([-99.99, 17.3], dtype=np.float32))
    np.testing.assert_array_equal(evaluate("mag == -99.99", table), [True, False])


def test_what_comes_back_is_the_callers_own() -> None:
    values = evaluate("b", TABLE)
    values[:] = 7
    subsets = with_subsets(some="n > 2")
    evaluate_condition("some", subsets)[:] = True
    np.testing.assert_array_equal(TABLE.values("b"), B)
    np.testing.assert_array_equal(evaluate_condition("some", subsets), N > 2)


def with_subsets(**conditions: str) -> Catalog:
    return replace(
        TABLE, spec=CatalogSpec(path="none", subsets={k.replace("_", " "): v for k, v in conditions.items()})
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bright", N > 3),
        ("bright & early", (N > 3) & (TABLE.table["kind"] == "E").to_numpy()),
        ("`not bright` | early", (N <= 3) | (TABLE.table["kind"] == "E").to_numpy()),
        ("not bright", N <= 3),  # the whole text is a name before it is a condition
        ("where(bright, 1, 0) == 1", N > 3),
        ("both", (N > 3) & F),
    ],
)
def test_named_subsets_are_columns_of_true_and_false(text: str, expected: np.ndarray) -> None:
    named = with_subsets(bright="n > 3", early="kind == 'E'", not_bright="~bright", both="bright & `f`")
    np.testing.assert_array_equal(evaluate_condition(text, named), expected)


def test_a_subset_used_everywhere_is_worked_out_once() -> None:
    steps = {f"s{k}": f"s{k - 1} & s{k - 1} | s{k - 1}" for k in range(1, 60)}
    np.testing.assert_array_equal(evaluate_condition("s59", with_subsets(s0="n > 2", **steps)), N > 2)


@pytest.mark.parametrize(
    ("subsets", "words"),
    [
        ({"one": "two", "two": "f | one"}, r"'one' is defined by itself \(one -> two -> one\)"),
        ({"one": "not one"}, r"defined by itself \(one -> one\)"),
        ({"one": "n + 1"}, "Subset 'one': 'n \\+ 1' needs a condition"),
        ({"one": "nn > 1"}, "Subset 'one': The catalog has no column 'nn'"),
        ({"one": "two", "two": "n >"}, "Subset 'two': The expression 'n >' ends too early"),
    ],
)
def test_a_subset_that_does_not_hold_up_is_named(subsets: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        evaluate("one & f", with_subsets(**subsets))


def test_names_are_listed_once_in_order() -> None:
    assert names_in("b + a * log10(b) > `M<300pc` & f") == ("b", "a", "M<300pc", "f")
    assert names_in("R.A.", columns=["R.A."]) == ("R.A.",)


@pytest.mark.parametrize("name", ["a", "M<300pc", "log10", "and", "SubhaloMassType_dm", "2MASS", "x y"])
def test_quoted_names_read_back_as_the_column(name: str) -> None:
    values = np.arange(3.0)
    np.testing.assert_array_equal(evaluate(f"{quote(name)} + 1", catalog(**{name: values})), values + 1)


def test_a_cut_keeps_row_ids_and_adds_to_the_specification() -> None:
    cut = select(select(TABLE, "n > 1"), "f | n == 5")
    np.testing.assert_array_equal(cut.row_ids, [20, 30, 40])
    np.testing.assert_array_equal(cut.values("n"), [3, 4, 5])
    again = select(TABLE, str(cut.spec.where))
    np.testing.assert_array_equal(again.row_ids, cut.row_ids)


@pytest.mark.parametrize(("where", "words"), [("n > 99", "No row"), ("n + 1", "true or false"), ("a", "true or false")])
def test_a_cut_that_cannot_be_made_is_explained(where: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        select(TABLE, where)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("col1 > 2 & col12 < 1", "mass > 2 & col12 < 1"),
        ("log10( col1 )+`col1`/col3", "log10( mass )+mass/`R.A.`"),
        ("name == 'col1'", "name == 'col1'"),
        ("col3", "`R.A.`"),
        ("col1 >", "col1 >"),
    ],
)
def test_a_renamed_column_is_renamed_in_expressions_and_nothing_else_is(before: str, after: str) -> None:
    names = {"col1": "mass", "col3": "R.A."}
    assert renamed(before, names, ("col1", "col3", "col12", "name")) == after
