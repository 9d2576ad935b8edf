"""The tables of a page in LaTeX (booktabs), to be put into a paper. All characters are ASCII, so that any TeX engine and font takes them.

A table that is wider than a line is shrunk to it; the preamble needs ``\\usepackage{booktabs,graphicx}``.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from report.glyphs import named, spelled
from report.markup import Blocks, Break, Code, Emphasis, Image, Inline, Link, Part, Strong, Table, Text, plain_text

_SIGNS = {
    "\\": r"{\textbackslash}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"{\textasciicircum}",
    "~": r"{\textasciitilde}",
    '"': r"{\char34}",
    "`": r"{\char96}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "∞": r"$\infty$",
    "†": r"\textdagger{}",
    "§": r"\S{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "\u00a0": "~",
    "ß": r"{\ss}",
    "æ": r"{\ae}",
    "Æ": r"{\AE}",
    "œ": r"{\oe}",
    "Œ": r"{\OE}",
    "ø": r"{\o}",
    "Ø": r"{\O}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\epsilon$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "π": r"$\pi$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "χ": r"$\chi$",
    "ω": r"$\omega$",
    "Δ": r"$\Delta$",
    "\u00b5": r"$\mu$",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
WIDE, WIDER = 16, 30
"""Characters in a line of a heading, and of a cell with words."""


def latex(blocks: Blocks, label: str) -> str | None:
    """The tables with a caption, each labelled ``tab:LABEL-1`` and so on; None where there is none. What stands below a break (a page's
    record of keys and versions) is not for a paper."""
    ends = next((place for place, block in enumerate(blocks) if isinstance(block, Break)), len(blocks))
    tables = [block for block in blocks[:ends] if isinstance(block, Table) and block.caption]
    if not tables:
        return None
    safe = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-")
    found = [_table(table, f"tab:{safe}-{number}") for number, table in enumerate(tables, start=1)]
    return "\n\n".join(["\n".join(["% Needs \\usepackage{booktabs,graphicx}", *_spelled(tables)]), *found]) + "\n"


def _spelled(tables: Sequence[Table]) -> list[str]:
    """A line that names the characters for which plain LaTeX has no sign, where there are any."""
    text = "".join(plain_text(cell) for table in tables for line in (table.head, *table.rows, (table.caption,)) for cell in line)
    signs = _unknown(unicodedata.normalize("NFC", text))
    return [f"% Spelled by their code points, as LaTeX may lack them: {named(signs)}"] if signs else []


def _table(table: Table, label: str) -> str:
    sides = "".join("r" if right else "l" for right in table.right)
    head = " & ".join(_heading(plain_text(cell), right) for cell, right in zip(table.head, table.right, strict=True))
    rows = "\n".join(f"{_row(row, table.right)} \\\\" for row in table.rows)
    caption = _inline(table.caption[1:]).strip()  # LaTeX says "Table 1:" itself
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{{label}}}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{{sides}}}\n\\toprule\n{head} \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}"
    )


def _heading(text: str, right: bool) -> str:
    """A heading in lines, so that it is not wider than its column; what is in quotes stays together."""
    together = re.sub(rf'"[^"]{{1,{WIDE}}}"', lambda name: name[0].replace(" ", "\u00a0"), text)
    lines = textwrap.wrap(together, WIDE, break_long_words=False, break_on_hyphens=False)
    return _stacked(lines, "b", "r" if right else "l") if len(lines) > 1 else escaped(text)


def _row(cells: Sequence[Inline], right: Sequence[bool]) -> str:
    return _guarded(" & ".join(_inline(cell) if side else _words(cell) for cell, side in zip(cells, right, strict=True)))


def _words(cell: Inline) -> str:
    """A cell of words in lines."""
    lines = textwrap.wrap(plain_text(cell), WIDER, break_on_hyphens=False)
    return _stacked(lines, "t", "l") if len(lines) > 1 else _inline(cell)


def _stacked(lines: Sequence[str], place: str, side: str) -> str:
    return rf"\begin{{tabular}}[{place}]{{@{{}}{side}@{{}}}}" + r" \\ ".join(_guarded(escaped(one)) for one in lines) + r"\end{tabular}"


def _guarded(text: str) -> str:
    """A line that the one before it does not take for its own: a bracket or a star after its end would be an option of that."""
    return "{}" + text if text.startswith(("[", "*")) else text


def _inline(parts: Inline) -> str:
    return "".join(map(_part, parts))


def _part(part: Part) -> str:
    match part:
        case Text():
            return escaped(part.text)
        case Code():
            return f"\\texttt{{{escaped(part.text)}}}"
        case Strong():
            return f"\\textbf{{{_inline(part.parts)}}}"
        case Emphasis():
            return f"\\emph{{{_inline(part.parts)}}}"
        case Link():
            return _inline(part.parts)
        case Image():
            return escaped(part.alt)


def escaped(text: str) -> str:
    """Any text as LaTeX that shows these characters; what plain LaTeX cannot show is spelled by its code point."""
    composed = unicodedata.normalize("NFC", text)
    signs = spelled(composed, _unknown(composed))
    apart = ["{}" if sign == before and sign in "-,'" else "" for sign, before in zip(signs, " " + signs, strict=False)]  # ligatures
    return "".join(between + (_sign(sign) or "") for between, sign in zip(apart, signs, strict=True))


def _unknown(text: str) -> list[str]:
    """The characters that plain LaTeX cannot show, each once, in the order of their code points."""
    return sorted(sign for sign in set(text) if _sign(sign) is None)


def _sign(sign: str) -> str | None:
    """LaTeX that shows a character; None where plain LaTeX has nothing for it."""
    if sign in _SIGNS:
        return _SIGNS[sign]
    if " " <= sign <= "~":
        return sign
    taken_apart = unicodedata.normalize("NFD", sign)
    base, mark = taken_apart[0], taken_apart[1:]
    if base.isascii() and base.isalpha() and mark in _ACCENTS:
        return f"{{\\{_ACCENTS[mark]}{{{base}}}}}"
    return None
