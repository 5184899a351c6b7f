"""Cuts, targets and features: the grammar against numpy, and everything that must be refused."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnlib.catalog.expressions import evaluate, evaluate_condition, names_in, quote
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
        "sin(a)",
        "a > ",
        "'E'",
        "kind",
        "kind + 1",
        "kind > 'E'",
        "kind == 1",
        "a & f",
        "~a",
        "f(1)",
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


def test_unknown_name_suggests_the_closest_column() -> None:
    with pytest.raises(InputError, match="did you mean 'kind'"):
        evaluate("Kind == 'E'", TABLE)


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
