"""The one exception that means "the user can mend this"; the command line prints it as a sentence, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """Bad input: a name, a value, a folder or a file that the user gave. The message is one or two plain sentences.

    Not a ``ValueError``: pydantic would wrap one that a validator raises into its own, longer, error.
    """


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The clause "; did you mean 'x'?" for the known name closest to ``wrong``, or an empty string."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that a registry or a table does not hold: says what is known and what is nearest."""
    names = sorted(known)
    return InputError(f"There is no {kind} named '{name}'{nearest(name, names) or '.'} Known: {', '.join(names) or 'none'}.")
