"""A page as one HTML file that needs nothing else: style inside, pictures inside as SVG, no script, no address of anything outside.

It is well-formed XML too, so that any parser can check it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from report.figures import Drawing
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

_STYLE = Path(__file__).with_name("templates") / "page.css"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def html(blocks: Blocks, drawings: Mapping[str, Drawing]) -> str:
    """The file; ``drawings`` holds each picture of the text by its target."""
    title = next((plain_text(heading.parts) for heading in headings(blocks)), "")
    body = _Writer(drawings).blocks(blocks)
    return _PAGE.format(title=escape(title), style=_STYLE.read_text(encoding="utf-8"), body=body)


class _Writer:
    def __init__(self, drawings: Mapping[str, Drawing]) -> None:
        self._drawings = drawings

    def blocks(self, blocks: Blocks) -> str:
        return "\n".join(map(self._block, blocks))

    def _block(self, block: Block) -> str:
        match block:
            case Heading():
                tag = f"h{block.level}"
                return f'<{tag} id="{escape(block.anchor)}">{_inline(block.parts)}</{tag}>'
            case Paragraph():
                return f"<p>{_inline(block.parts)}</p>"
            case Listing():
                return self._listing(block)
            case Quote():
                return f"<blockquote>\n{self.blocks(block.blocks)}\n</blockquote>"
            case CodeBlock():
                return f"<pre><code>{escape(block.text)}</code></pre>"
            case Table():
                return _table(block)
            case Picture():
                caption = f"\n<figcaption>{_inline(block.caption)}</figcaption>" if block.caption else ""
                return f'<figure>\n<img src="{self._address(block.target)}" alt="{escape(block.alt)}"/>{caption}\n</figure>'
            case Break():
                return "<hr/>"

    def _listing(self, block: Listing) -> str:
        tag, start = ("ul", "") if block.start is None else ("ol", f' start="{block.start}"')
        items = "\n".join(f"<li>{self._item(item)}</li>" for item in block.items)
        return f"<{tag}{start}>\n{items}\n</{tag}>"

    def _item(self, blocks: Blocks) -> str:
        """An item begins with its text, not with a paragraph."""
        first, rest = blocks[0] if blocks else None, blocks[1:]
        if not isinstance(first, Paragraph):
            return self.blocks(blocks)
        return _inline(first.parts) + (f"\n{self.blocks(rest)}\n" if rest else "")

    def _address(self, target: str) -> str:
        svg = self._drawings[target].svg
        assert svg is not None, "drawn for other formats"
        return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _table(block: Table) -> str:
    sides = [' class="number"' if right else "" for right in block.right]
    head = "".join(f'<th scope="col"{side}>{_inline(cell)}</th>' for side, cell in zip(sides, block.head, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{side}>{_inline(cell)}</td>" for side, cell in zip(sides, row, strict=True)) + "</tr>" for row in block.rows
    )
    caption = f"<figcaption>{_inline(block.caption)}</figcaption>\n" if block.caption else ""
    table = f"<table>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    return f'<figure class="table">\n{caption}<div class="wide">\n{table}\n</div>\n</figure>'


def _inline(parts: Inline) -> str:
    return "".join(map(_part, parts))


def _part(part: Part) -> str:
    match part:
        case Text():
            return escape(part.text)
        case Code():
            return f"<code>{escape(part.text)}</code>"
        case Strong():
            return f"<strong>{_inline(part.parts)}</strong>"
        case Emphasis():
            return f"<em>{_inline(part.parts)}</em>"
        case Link():  # files beside the Markdown are not beside this one
            inside = part.target.startswith(("#", "https://", "http://"))
            return f'<a href="{escape(part.target)}">{_inline(part.parts)}</a>' if inside else _inline(part.parts)
        case Image():
            return escape(part.alt)
