"""A page as a PDF, set by typst: A4, page numbers, text that can be searched, fonts inside; the same page gives the same bytes.

Every text is handed over as a string of typst's language, so nothing in it is markup. Tables choose their own size of type: as large as
fits the width of the page, with columns of words in several lines where that is needed. A word is broken only where it is longer than
its column can be; the places for that are spaces of no width to see, so that no character comes into the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path

from report.figures import Drawing
from report.glyphs import fonts, spelled
from report.markup import (
    Block,
    Blocks,
    Break,
    Code,
    CodeBlock,
    Emphasis,
    Heading,
    Image,
    Inline,
    Link,
    Listing,
    Paragraph,
    Part,
    Picture,
    Quote,
    Strong,
    Table,
    Text,
    headings,
    plain_text,
)

_STYLE = Path(__file__).with_name("templates") / "page.typ"


def pdf(blocks: Blocks, drawings: Mapping[str, Drawing], date: datetime | None = None) -> bytes:
    """The file; ``drawings`` holds each picture of the text by its target, ``date`` (UTC) is what the file says of its making."""
    import typst  # late: only this needs it

    families = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[fonts()])
    source, stamp = typst_source(blocks, drawings), int(date.timestamp()) if date else 0
    return typst.compile(source.encode(), format="pdf", font_paths=families, ignore_system_fonts=True, timestamp=stamp)


def typst_source(blocks: Blocks, drawings: Mapping[str, Drawing]) -> str:
    """The page in typst's language."""
    title = next((plain_text(heading.parts) for heading in headings(blocks)), "")
    anchors = {heading.anchor for heading in headings(blocks)}
    style = _STYLE.read_text(encoding="utf-8")
    return f"{style}\n#show: page-of.with({_string(title)})\n\n{_Writer(drawings, anchors).page(blocks)}\n"


class _Writer:
    def __init__(self, drawings: Mapping[str, Drawing], anchors: set[str]) -> None:
        self._drawings = drawings
        self._anchors = anchors

    def page(self, blocks: Blocks) -> str:
        """All of it; what stands below a line is kept together on one page where it can be."""
        lines = [place for place, block in enumerate(blocks) if isinstance(block, Break) and not block.page]
        if not lines:
            return self.blocks(blocks)
        ends = [place for place, block in enumerate(blocks) if isinstance(block, Break) and place > lines[0]]
        below, rest = blocks[lines[0] + 1 : ends[0] if ends else None], blocks[ends[0] :] if ends else ()
        return f"{self.blocks(blocks[: lines[0]])}\n\n#kept[{self.blocks(below)}]\n\n{self.page(rest)}"

    def blocks(self, blocks: Blocks) -> str:
        """Blocks below each other; pictures that follow each other are placed together."""
        found, before = [], None
        for pictures, each in groupby(blocks, lambda block: isinstance(block, Picture)):
            group = list(each)
            if pictures:
                after_text = "false" if isinstance(before, Heading) else "true"
                found.append(f"#pictures({after_text}, {''.join(map(self._block, group))})")
            else:
                found += map(self._block, group)
            before = group[-1]
        return "\n\n".join(found)

    def _block(self, block: Block) -> str:
        match block:
            case Heading():
                return f"#heading(level: {block.level}){self._content(block.parts)} #label({_string(block.anchor)})"
            case Paragraph():  # what it announces stands on the same page
                announces = plain_text(block.parts).endswith(":")
                return f"#block(sticky: true){self._content(block.parts)}" if announces else self._inline(block.parts)
            case Listing():
                items = ", ".join(f"[{self.blocks(item)}]" for item in block.items)
                return f"#list({items})" if block.start is None else f"#enum(start: {block.start}, {items})"
            case Quote():
                return f"#quote(block: true)[{self.blocks(block.blocks)}]"
            case CodeBlock():
                return f"#raw(block: true, {_string(block.text)})"
            case Table():
                return self._table(block)
            case Picture():
                image = self._drawings[block.target].live
                assert image is not None, "drawn for other formats"
                return f"({self._content(block.caption)}, {_literal(image.decode())}, {_string(block.alt)}), "
            case Break():
                return "#pagebreak(weak: true)"

    def _table(self, table: Table) -> str:
        right = _array("true" if side else "false" for side in table.right)
        words = _array(_array(_string(word) for word in plain_text(cell).split()) for cell in table.head)
        longest = _array(_array(map(_string, _longest(row[column] for row in table.rows))) for column in range(len(table.head)))
        head = _array(self._content(cell) for cell in table.head)
        rows = _array(_array(self._content(cell) for cell in row) for row in table.rows)
        return f"#fitted({self._content(table.caption)}, {right}, {words}, {longest}, {head}, {rows})"

    def _content(self, parts: Inline) -> str:
        return f"[{self._inline(parts)}]"

    def _inline(self, parts: Inline) -> str:
        return "".join(map(self._part, parts))

    def _part(self, part: Part) -> str:
        match part:
            case Text():
                return f"#{_string(part.text)}"
            case Code():
                return f"#raw({_string(part.text)})"
            case Strong():
                return f"#strong{self._content(part.parts)}"
            case Emphasis():
                return f"#emph{self._content(part.parts)}"
            case Link():
                return self._link(part)
            case Image():
                return f"#{_string(part.alt)}"

    def _link(self, link: Link) -> str:
        if link.target.startswith(("https://", "http://")):
            return f"#link({_string(link.target)}){self._content(link.parts)}"
        if link.target.removeprefix("#") in self._anchors:
            return f"#link(label({_string(link.target[1:])})){self._content(link.parts)}"
        return self._inline(link.parts)  # a file that lies beside the Markdown


def _longest(cells: Iterable[Inline]) -> list[str]:
    """The words of a column that may be the widest, each once."""
    words = {word for cell in cells for word in plain_text(cell).split()}
    return sorted(words, key=lambda word: (-len(word), word))[:8]


def _string(text: str) -> str:
    """A string literal of typst's language."""
    return _literal(spelled(text))


def _literal(text: str) -> str:
    """The same of a text that is not for readers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _array(items: Iterable[str]) -> str:
    """An array literal; the comma at its end makes one of a single item too."""
    return f"({''.join(f'{item}, ' for item in items)})"
