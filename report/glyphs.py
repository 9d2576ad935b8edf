"""Which characters the fonts of figures and of the PDF can show. What none of them has is spelled by its code point, never dropped.

All of them fall back on DejaVu Sans, which comes with matplotlib; so what that font has can be shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path


@cache
def fonts() -> Path:
    """The folder of DejaVu Sans and its kin."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@cache
def _known() -> frozenset[int]:
    """The code points that have a glyph."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(fonts() / "DejaVuSans.ttf")).get_charmap())


def missing(text: str) -> list[str]:
    """The characters of a text that cannot be shown, each once, in the order of their code points."""
    return sorted(sign for sign in set(text) if not sign.isspace() and ord(sign) not in _known())


def spelled(text: str, unknown: Collection[str] | None = None) -> str:
    """The text with those of its characters as "U+6F22", apart from the letters, digits and such characters beside them.

    ``unknown`` are the characters that cannot be shown; those that the fonts lack unless others are given.
    """
    signs = set(missing(text) if unknown is None else unknown)
    if not signs.intersection(text):
        return text
    told = [f"U+{ord(sign):04X}" if sign in signs else sign for sign in text]
    word = [sign in signs or sign.isalnum() or sign == "_" for sign in text]
    apart = [text[i] in signs or text[i + 1] in signs if word[i] and word[i + 1] else False for i in range(len(text) - 1)]
    return "".join(sign + (" " if space else "") for sign, space in zip(told, [*apart, False], strict=True))


def named(signs: Sequence[str]) -> str:
    """Characters in words: "U+6F22 (CJK UNIFIED IDEOGRAPH-6F22)"; the first ten, and how many more there are."""
    told = [f"U+{ord(sign):04X} ({unicodedata.name(sign, 'without a name')})" for sign in signs[:10]]
    return ", ".join(told) + (f" and {len(signs) - 10} more" if len(signs) > 10 else "")
