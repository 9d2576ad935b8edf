"""A page's Markdown as a tree of blocks: the one source from which HTML, PDF and LaTeX are made.

The text is read by a GFM parser (CommonMark with tables). Two conventions make captions of paragraphs, in any Markdown: one that begins
with a bold "Table 3:" right above a table, and one that begins with a bold "Figure 3:" right below a picture that stands alone. A picture
may link to a better one of itself (``[![...](errors.png)](errors.svg)``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode


@dataclass(frozen=True)
class Text:
    """Characters as they are to be seen."""

    text: str


@dataclass(frozen=True)
class Code:
    """The same in a typeface of fixed width."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Bold."""

    parts: Inline


@dataclass(frozen=True)
class Emphasis:
    """Italic."""

    parts: Inline


@dataclass(frozen=True)
class Link:
    """A link; a target "#anchor" is a heading of the same page."""

    target: str
    parts: Inline


@dataclass(frozen=True)
class Image:
    """A picture in a line of text, by the name of its file."""

    target: str
    alt: str


Part = Text | Code | Strong | Emphasis | Link | Image
Inline = tuple[Part, ...]


@dataclass(frozen=True)
class Heading:
    """A heading; ``anchor`` is its name in links, as GitHub makes it."""

    level: int
    parts: Inline
    anchor: str


@dataclass(frozen=True)
class Paragraph:
    """Some lines of text."""

    parts: Inline


@dataclass(frozen=True)
class Listing:
    """A list; ``start`` is the number of its first item, None for bullets."""

    items: tuple[Blocks, ...]
    start: int | None


@dataclass(frozen=True)
class Quote:
    """What somebody may say in these words."""

    blocks: Blocks


@dataclass(frozen=True)
class CodeBlock:
    """Lines of fixed width."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; ``right`` says of each column whether it is set to the right (numbers)."""

    caption: Inline
    right: tuple[bool, ...]
    head: tuple[Inline, ...]
    rows: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture that stands alone, by the name of its file, with its caption."""

    target: str
    alt: str
    caption: Inline


@dataclass(frozen=True)
class Break:
    """The end of a part, a line across the page; on paper one that is written ``***`` is the end of the page."""

    page: bool


Block = Heading | Paragraph | Listing | Quote | CodeBlock | Table | Picture | Break
Blocks = tuple[Block, ...]


def parse(markdown: str) -> Blocks:
    """The blocks of a Markdown text.

    :raises ValueError: for a construct that the pages do not use (raw HTML is text, as everywhere here).
    """
    tree = SyntaxTreeNode(MarkdownIt("commonmark", {"html": False}).enable("table").parse(markdown))
    return _blocks(tree.children, _Anchors())


def plain_text(parts: Inline) -> str:
    """The characters of a line of text, without its markup."""
    return "".join(
        one.text if isinstance(one, Text | Code) else one.alt if isinstance(one, Image) else plain_text(one.parts) for one in parts
    )


def headings(blocks: Blocks) -> Iterator[Heading]:
    """The headings, in order."""
    return (block for block in blocks if isinstance(block, Heading))


class _Anchors:
    """Names of headings as GitHub makes them: small letters, hyphens for spaces, a number where a name is there already."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}-{self._seen[name] - 1}"


def _blocks(nodes: Sequence[SyntaxTreeNode], anchors: _Anchors) -> Blocks:
    found: list[Block] = []
    for node in nodes:
        if node.type not in _BLOCKS:
            raise ValueError(f"pages have no block of the kind '{node.type}'")
        block = _BLOCKS[node.type](node, anchors)
        before = found[-1] if found else None
        if isinstance(block, Table) and isinstance(before, Paragraph) and _is_caption(before, "Table"):
            found[-1] = Table(before.parts, block.right, block.head, block.rows)
        elif isinstance(block, Paragraph) and isinstance(before, Picture) and _is_caption(block, "Figure"):
            found[-1] = Picture(before.target, before.alt, block.parts)
        else:
            found.append(block)
    return tuple(found)


def _is_caption(paragraph: Paragraph, kind: str) -> bool:
    first = paragraph.parts[0] if paragraph.parts else None
    return isinstance(first, Strong) and re.fullmatch(rf"{kind} \d+:", plain_text(first.parts)) is not None


def _heading(node: SyntaxTreeNode, anchors: _Anchors) -> Heading:
    parts = _inline(node)
    return Heading(int(node.tag[1:]), parts, anchors(plain_text(parts)))


def _paragraph(node: SyntaxTreeNode, anchors: _Anchors) -> Block:
    parts = _inline(node)
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, Link) and len(only.parts) == 1 and isinstance(only.parts[0], Image):
        only = only.parts[0]  # the link leads to the same picture
    return Picture(only.target, only.alt, ()) if isinstance(only, Image) else Paragraph(parts)


def _list(node: SyntaxTreeNode, anchors: _Anchors) -> Listing:
    start = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    return Listing(tuple(_blocks(item.children, anchors) for item in node.children), start)


def _table(node: SyntaxTreeNode, anchors: _Anchors) -> Table:
    lines = [line.children for part in node.children for line in part.children]
    right = tuple("right" in str(cell.attrs.get("style", "")) for cell in lines[0])
    head, *rows = [tuple(_inline(cell) for cell in line) for line in lines]
    return Table((), right, head, tuple(rows))


_BLOCKS: dict[str, Callable[[SyntaxTreeNode, _Anchors], Block]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "bullet_list": _list,
    "ordered_list": _list,
    "table": _table,
    "blockquote": lambda node, anchors: Quote(_blocks(node.children, anchors)),
    "code_block": lambda node, _: CodeBlock(node.content.removesuffix("\n")),
    "fence": lambda node, _: CodeBlock(node.content.removesuffix("\n")),
    "hr": lambda node, _: Break(node.markup.startswith("*")),
}


def _inline(node: SyntaxTreeNode) -> Inline:
    """The text of a heading, a paragraph or a cell, which the parser keeps in a node below it."""
    return tuple(_part(child) for below in node.children for child in below.children if child.type != "text" or child.content)


def _part(node: SyntaxTreeNode) -> Part:
    within = tuple(_part(child) for child in node.children if child.type != "text" or child.content) if node.type != "image" else ()
    match node.type:
        case "text" | "text_special":
            return Text(node.content)
        case "softbreak" | "hardbreak":
            return Text(" ")
        case "code_inline":
            return Code(node.content)
        case "strong":
            return Strong(within)
        case "em":
            return Emphasis(within)
        case "link":
            return Link(str(node.attrs["href"]), within)
        case "image":
            return Image(str(node.attrs["src"]), "".join(child.content for child in node.children))
    raise ValueError(f"pages have no text of the kind '{node.type}'")
