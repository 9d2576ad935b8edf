"""Which characters the fonts of figures and of the PDF can show. What none of them has is spelled by its code point, never dropped.

All of them fall back on DejaVu Sans, which comes with matplotlib; so what that font has can be shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
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


def spelled(text: str) -> str:
    """The text with those characters as "U+6F22", apart from what follows where that could be taken for a part of it."""
    signs = missing(text)
    if not signs:
        return text
    either = "|".join(map(re.escape, signs))
    return re.sub(rf"({either})(?=(\w|{either})?)", lambda found: f"U+{ord(found[1]):04X}" + (" " if found[2] else ""), text)


def named(signs: Sequence[str]) -> str:
    """Characters in words: "U+6F22 (CJK UNIFIED IDEOGRAPH-6F22)"; the first ten, and how many more there are."""
    told = [f"U+{ord(sign):04X} ({unicodedata.name(sign, 'without a name')})" for sign in signs[:10]]
    return ", ".join(told) + (f" and {len(signs) - 10} more" if len(signs) > 10 else "")
