"""Cuts, targets and features as expressions over columns: `log10(mass) - 10`, `mass > 1e8 & flag`, `` `M<300pc` > 0 ``.

A tokenizer and a Pratt parser (Pratt 1973, "Top down operator precedence") over an allow-list; nothing is ever passed
to Python's own evaluator. Comparisons bind tighter than `&` and `|`, as in SQL and unlike Python: `a > 1 & b` means
`(a > 1) & b`. From loose to tight: `|` or, `&` and, `not`, comparisons (chained), `+ -`, `* / %`, unary `- ~`, `**`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnlib.catalog.table import Catalog
from gnnlib.errors import InputError

MAX_LENGTH = 2000
MAX_DEPTH = 60
MAX_TOKENS = 400

FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "log10": (1, np.log10),
    "log": (1, np.log),
    "exp": (1, np.exp),
    "sqrt": (1, np.sqrt),
    "abs": (1, np.abs),
    "isfinite": (1, np.isfinite),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "where": (3, np.where),
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.mod,
    "**": np.power,
}
_COMPARISONS: dict[str, Callable[..., Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_BINDING = {"|": 1, "&": 2, **dict.fromkeys(_COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "**": 8}
_NOT, _UNARY = 3, 7
_WORDS = {"and": "&", "or": "|", "not": "not", "AND": "&", "OR": "|", "NOT": "not", "&&": "&", "||": "|"}

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | `(?P<quoted>[^`]+)`
  | (?P<text>'[^']*'|"[^"]*")
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%<>&|~(),])
)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, text, operator, end
    text: str
    at: int


@dataclass(frozen=True)
class _Node:
    """kind: number, name, text, call, negate, invert, binary, compare; value: what it holds; parts: its operands."""

    kind: str
    value: Any
    parts: tuple[_Node, ...] = ()


def evaluate(expression: str, catalog: Catalog) -> np.ndarray:
    """The expression on every row: float64 or bool, [N]. The name of a column, however odd, is an expression too.

    Division by zero and logarithms of nothing give inf and NaN without a word: callers count non-finite rows. Raises
    InputError for anything that is not in the grammar, unknown names (with the closest one) and text used as numbers.
    """
    if expression.strip() in catalog.columns:
        value = catalog.values(expression.strip())
    else:
        tree = _Parser(expression).parse()
        with np.errstate(all="ignore"):
            value = _value(tree, catalog)
    value = np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise InputError(f"'{_short(expression)}' gives text, not numbers; compare it, as in name == 'x'.")
    value = value if value.dtype == bool else value.astype(np.float64)
    return np.broadcast_to(value, (len(catalog),)).copy() if value.ndim == 0 else value


def evaluate_condition(expression: str, catalog: Catalog) -> np.ndarray:
    """The expression as a cut: bool [N]. A column of 0 and 1 is a condition too; other numbers raise InputError."""
    return _condition(evaluate(expression, catalog), expression.strip())


def names_in(expression: str, columns: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns an expression names, each once, in order. columns: known names, needed for odd ones like `R.A.`."""
    if expression.strip() in columns:
        return (expression.strip(),)
    found: dict[str, None] = {}

    def walk(node: _Node) -> None:
        if node.kind == "name":
            found[node.value] = None
        for part in node.parts:
            walk(part)

    walk(_Parser(expression).parse())
    return tuple(found)


def quote(name: str) -> str:
    """A column's name as it must be written inside an expression: with backticks unless it is a plain word."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) and name not in _WORDS and name not in FUNCTIONS else f"`{name}`"


class _Parser:
    def __init__(self, expression: str) -> None:
        if len(expression) > MAX_LENGTH:
            raise InputError(f"The expression is {len(expression)} characters long; the limit is {MAX_LENGTH}.")
        if not expression.strip():
            raise InputError("The expression is empty; write one such as 'mass > 1e10'.")
        self.source = expression
        self.tokens = _tokens(expression)
        if len(self.tokens) > MAX_TOKENS:
            raise InputError(f"The expression has more than {MAX_TOKENS} parts; write it more simply.")
        self.next = 0
        self.depth = 0

    def parse(self) -> _Node:
        tree = self._expression(0)
        if self._peek().kind != "end":
            raise self._unexpected(self._peek())
        return tree

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def _expect(self, operator: str) -> None:
        token = self._peek()
        if (token.kind, token.text) != ("operator", operator):
            raise self._unexpected(token, f" where '{operator}' was expected")
        self.next += 1

    def _unexpected(self, token: _Token, wanted: str = "") -> InputError:
        what = (
            "ends too early"
            if token.kind == "end"
            else f"has an unexpected '{token.text[:30]}' at character {token.at + 1}"
        )
        return InputError(f"The expression '{_short(self.source)}' {what}{wanted}.")

    def _expression(self, binding: int) -> _Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InputError(f"The expression is nested deeper than {MAX_DEPTH} levels; write it more simply.")
        left = self._prefix()
        while (token := self._peek()).kind == "operator" and _BINDING.get(token.text, -1) > binding:
            left = self._infix(left, token)
        self.depth -= 1
        return left

    def _prefix(self) -> _Node:
        token = self._take()
        if token.kind == "number":
            whole = token.text.isdecimal() and len(token.text) <= 19  # an id of 19 digits must not become a float
            return _Node("number", int(token.text) if whole else float(token.text))
        if token.kind == "text":
            return _Node("text", token.text[1:-1])
        if token.kind == "quoted":
            return _Node("name", token.text)
        if token.kind == "name":
            if (self._peek().kind, self._peek().text) == ("operator", "("):
                return self._call(token.text)
            return _Node("name", token.text)
        if token.text == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.text == "not":
            return _Node("invert", "not", (self._expression(_NOT),))
        if token.text == "~":
            return _Node("invert", "~", (self._expression(_UNARY),))
        if token.text == "-":
            return _Node("negate", "-", (self._expression(_UNARY),))
        if token.text == "+":
            return self._expression(_UNARY)
        raise self._unexpected(token)

    def _call(self, name: str) -> _Node:
        if name not in FUNCTIONS:
            raise InputError(f"There is no function '{name[:40]}'; the functions are {', '.join(FUNCTIONS)}.")
        self._expect("(")
        parts = [self._expression(0)]
        while (self._peek().kind, self._peek().text) == ("operator", ","):
            self.next += 1
            parts.append(self._expression(0))
        self._expect(")")
        wanted = FUNCTIONS[name][0]
        if len(parts) != wanted:
            raise InputError(f"The function {name} takes {wanted} value{'s' * (wanted > 1)}, not {len(parts)}.")
        return _Node("call", name, tuple(parts))

    def _infix(self, left: _Node, token: _Token) -> _Node:
        binding = _BINDING[token.text]
        if token.text not in _COMPARISONS:
            self.next += 1
            # `**` groups from the right, the others from the left.
            right = self._expression(binding - 1 if token.text == "**" else binding)
            return _Node("binary", token.text, (left, right))
        chain, operators = [left], []
        while (token := self._peek()).kind == "operator" and token.text in _COMPARISONS:
            operators.append(self._take().text)
            chain.append(self._expression(binding))
        return _Node("compare", tuple(operators), tuple(chain))


def _tokens(expression: str) -> list[_Token]:
    tokens, at = [], 0
    stripped = expression.rstrip()
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if not found:
            start = at + len(stripped[at:]) - len(stripped[at:].lstrip())
            hint = "; write == to compare" if stripped[start] == "=" else ""
            hint = "; put names with odd characters between backticks" if stripped[start] in ".[]{}:?" else hint
            what = f"has '{stripped[start]}' at character {start + 1}, which means nothing there"
            raise InputError(f"The expression '{_short(expression)}' {what}{hint}.")
        kind = str(found.lastgroup)
        text = found[kind]
        if text in _WORDS and kind in ("name", "operator"):
            kind, text = "operator", _WORDS[text]
        tokens.append(_Token(kind, text, found.start(str(found.lastgroup))))
        at = found.end()
    return [*tokens, _Token("end", "", len(stripped))]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _value(node: _Node, catalog: Catalog) -> Any:
    if node.kind in ("number", "text"):
        return node.value
    if node.kind == "name":
        return _column(node.value, catalog)
    if node.kind == "binary" and node.value in "&|":
        left, right = (_condition(_value(part, catalog), node.value) for part in node.parts)
        return left & right if node.value == "&" else left | right
    if node.kind == "invert":
        return ~_condition(_value(node.parts[0], catalog), node.value)
    if node.kind == "negate":
        value = _value(node.parts[0], catalog)
        return -value if isinstance(value, int | float) else -_number(value)
    if node.kind == "compare":
        values = [_value(part, catalog) for part in node.parts]
        pairs = zip(node.value, values[:-1], values[1:], strict=True)
        holds: Any = True
        for operator, a, b in pairs:
            holds = holds & _compare(operator, a, b)
        return holds
    if node.kind == "call" and node.value == "where":
        condition, yes, no = (_value(part, catalog) for part in node.parts)
        return np.where(_condition(condition, "where"), _number(yes), _number(no))
    values = [_number(_value(part, catalog)) for part in node.parts]
    function = FUNCTIONS[node.value][1] if node.kind == "call" else _ARITHMETIC[node.value]
    return function(*values)


def _column(name: str, catalog: Catalog) -> np.ndarray:
    if name in catalog.columns:
        return catalog.values(name)
    close = difflib.get_close_matches(name, list(catalog.columns), 1, 0.5)
    folded = [known for known in catalog.columns if known.lower() == name.lower()]
    best = (folded or close or [""])[0]
    remedy = f"did you mean '{best}'?" if best else f"its columns are {', '.join(list(catalog.columns)[:6])}, ..."
    raise InputError(f"The catalog has no column '{name[:60]}'; {remedy}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind not in "biuf")


def _number(value: Any) -> Any:
    if _is_text(value):
        raise InputError("Text cannot be reckoned with; use columns of numbers, or compare the text with == or !=.")
    return np.asarray(value, dtype=np.float64)


def _compare(operator: str, left: Any, right: Any) -> Any:
    if _is_text(left) or _is_text(right):
        if operator not in ("==", "!=") or not (_is_text(left) and _is_text(right)):
            raise InputError(
                f"Text cannot be compared by '{operator}' here; compare a text column with '...' by == or !=."
            )
        equal = np.asarray(np.asarray(left, dtype=object) == np.asarray(right, dtype=object))
        return equal if operator == "==" else ~equal
    return _COMPARISONS[operator](left, right)


def _condition(value: Any, where: str) -> np.ndarray:
    value = np.asarray(value)
    if value.dtype == bool:
        return value
    if value.dtype.kind in "iuf" and value.ndim and np.isin(value, (0, 1)).all():
        return value != 0
    raise InputError(
        f"'{_short(where)}' needs a condition that is true or false, such as 'mass > 1e10', but got numbers or text."
    )
