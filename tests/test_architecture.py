"""The floors: imports point downward, never in a circle, and the light commands load nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("senet_core", "ablations", "report", "runner")


def modules(root: Path) -> dict[str, Path]:
    """Every module of the four floors by its dotted name."""
    files = [root / "runner.py", *(file for floor in FLOORS[:3] for file in (root / floor).rglob("*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files if file.exists()}


def imports(name: str, file: Path, known: set[str]) -> set[str]:
    """The project's own modules that a file imports, anywhere in it but under TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.walk(_without_type_checking(ast.parse(file.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & known or {node.module}
    return (found & known) - {name}


def _without_type_checking(tree: ast.Module) -> ast.Module:
    def guards(node: ast.stmt) -> bool:
        return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"

    tree.body = [node for node in tree.body if not guards(node)]
    return tree


def faults(root: Path) -> list[str]:
    """Upward imports and circles among the modules below a root."""
    files = modules(root)
    graph = {name: imports(name, file, set(files)) for name, file in files.items()}
    height = {name: FLOORS.index(name.split(".")[0]) for name in files}
    upward = [
        f"{name} imports {other}, a floor above it" for name, others in graph.items() for other in others if height[other] > height[name]
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        upward.append(f"circle: {' -> '.join(error.args[1])}")
    return upward


def test_imports_point_downward_and_never_in_a_circle() -> None:
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [("senet_core/a.py", "from ablations.b import x"), ("ablations/b.py", "import report.c"), ("senet_core/a.py", "import senet_core.d")],
)
def test_the_check_finds_a_planted_fault(tmp_path: Path, file: str, line: str) -> None:
    for name, text in {
        "senet_core/a.py": "",
        "ablations/b.py": "x = 1",
        "report/c.py": "",
        "senet_core/d.py": "import senet_core.a",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(line if name == file else text)
    assert len(faults(tmp_path)) == 1


def test_package_faces_are_empty_but_for_a_docstring() -> None:
    faces = [file for floor in FLOORS[:3] for file in (ROOT / floor).rglob("__init__.py")]
    bodies = {str(file): ast.parse(file.read_text(encoding="utf-8")).body for file in faces}
    assert {name for name, body in bodies.items() if len(body) != 1 or not isinstance(body[0], ast.Expr)} == set()


@pytest.mark.parametrize(
    "statement", ["import runner; runner.main(['list'])", "import ablations.execution.loop, ablations.execution.trial, ablations.planning"]
)
def test_light_commands_load_neither_torch_nor_mlflow(statement: str) -> None:
    heavy = {"torch", "mlflow", "pandas", "matplotlib"}
    code = f"import sys; {statement}; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_registered_file_bears_the_name_that_it_registers() -> None:
    from ablations.suite import SUITES
    from senet_core.registry import BLOCKS, DATASETS, NETWORKS

    for registry in (BLOCKS, NETWORKS, DATASETS, SUITES):
        assert registry.names()
        for name in registry.names():
            assert registry[name].name == name
