"""One Markdown text, many faces: itself with its pictures beside it, HTML, PDF, and its tables in LaTeX."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from report.figures import Drawing
from report.glyphs import missing, named
from report.markup import Blocks, Paragraph, Text, parse
from senet_core.errors import InputError
from senet_core.files import publish as publish_file

FORMATS = ("md", "html", "pdf", "tex")


@dataclass(frozen=True)
class Document:
    """A text in Markdown (with the captions of ``report.markup``), its name in the labels of its LaTeX tables, the pictures in it by their
    targets ("errors.png"), and the date (UTC) that a PDF of it bears. Pictures in a folder of their own ("reduction/errors.png") belong to
    another document, which writes them."""

    text: str
    name: str
    drawings: Mapping[str, Drawing] = field(default_factory=dict)
    date: datetime | None = None


@dataclass(frozen=True)
class Published:
    """The files that were written, the page itself first, and the characters that had to be spelled as they have no glyph."""

    files: tuple[Path, ...]
    missing: tuple[str, ...] = ()


def publish(document: Document, folder: Path, stem: str, formats: Collection[str]) -> Published:
    """Write ``folder/stem.md`` with its pictures as PNG and SVG, ``.html``, ``.pdf`` and ``.tex``, those of ``formats``.

    There is no ``.tex`` of a text without a table that has a caption. The drawings are those for ``formats``.

    :raises InputError: if the folder cannot be written.
    """
    contents = dict(faces(document, stem, formats))
    if "md" in formats:
        for target, drawing in document.drawings.items():
            if "/" not in target:
                assert drawing.png is not None and drawing.svg is not None, "drawn for other formats"
                contents |= {target: drawing.png, str(Path(target).with_suffix(".svg")): drawing.svg}
    written = write_files(folder, contents)
    spelled = tuple(missing(document.text)) if document.drawings or "pdf" in formats else ()
    return Published(tuple(path for path in written if path.stem == stem and path.suffix[1:] in FORMATS), spelled)


def faces(document: Document, stem: str, formats: Collection[str]) -> dict[str, bytes]:
    """{name: content} of the files of one text."""
    found: dict[str, bytes] = {}
    blocks = parse(document.text) if set(formats) - {"md"} else ()
    if "md" in formats:
        found[f"{stem}.md"] = document.text.encode()
    if "html" in formats:
        from report.html import html

        found[f"{stem}.html"] = html(blocks, document.drawings).encode()
    if "pdf" in formats:
        from report.typeset import pdf

        found[f"{stem}.pdf"] = pdf((*blocks, *_note(document.text)), document.drawings, document.date)
    if "tex" in formats:
        from report.latex import latex

        tables = latex(blocks, document.name)
        if tables is not None:
            found[f"{stem}.tex"] = tables.encode()
    return found


def _note(text: str) -> Blocks:
    """What a reader of the PDF must know of characters that it cannot show."""
    signs = missing(text)
    told = f"Characters that no font of this file has stand as their code points: {named(signs)}."
    return (Paragraph((Text(told),)),) if signs else ()


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each whole or not at all; returns their paths.

    :raises InputError: if that cannot be done.
    """
    try:
        for name, content in contents.items():
            publish_file(folder / name, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    except OSError as error:
        raise InputError(f"Cannot write the page into '{folder}': {error.strerror}.") from None
    return [folder / name for name in contents]
