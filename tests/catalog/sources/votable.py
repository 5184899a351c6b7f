"""VOTables written by hand, so that what is read back is compared with text no library made."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

Field = tuple[str, str, str, str]  # name, datatype, unit, description


def table(name: str, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> str:
    """One TABLE; None is an empty cell."""
    parts = [f"<TABLE name={quoteattr(name)}>"]
    for field, datatype, unit, description in fields:
        size = ' arraysize="*"' if datatype == "char" else ""
        null = f'<VALUES null="{-(2**15)}"/>' if datatype in ("short", "int", "long") else ""
        parts.append(
            f'<FIELD name={quoteattr(field)} datatype="{datatype}"{size} unit={quoteattr(unit)}>'
            f"<DESCRIPTION>{escape(description)}</DESCRIPTION>{null}</FIELD>"
        )
    parts.append("<DATA><TABLEDATA>")
    for row in rows:
        cells = ("" if cell is None else escape(str(cell)) for cell in row)
        parts.append("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells) + "</TR>")
    return "".join([*parts, "</TABLEDATA></DATA></TABLE>"])


def document(*inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n' + "\n".join(inside) + "\n</VOTABLE>"
    )


def resource(*inside: str, name: str = "", kind: str = "") -> str:
    attributes = (f" name={quoteattr(name)}" if name else "") + (f' type="{kind}"' if kind else "")
    return f"<RESOURCE{attributes}>" + "\n".join(inside) + "</RESOURCE>"


def info(name: str, value: str, text: str = "", ID: str = "") -> str:
    identity = f' ID="{ID}"' if ID else ""
    return f"<INFO{identity} name={quoteattr(name)} value={quoteattr(value)}>{escape(text)}</INFO>"
