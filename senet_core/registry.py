"""Names for blocks, networks, data sets, augmentations and suites: one new file registers itself by a decorator.

A registry looks into its package only when it is asked, so listing names imports nothing heavy: a file ``senet_core/blocks/se.py``
registers the name ``se`` (a test holds every file to that), and is imported when ``se`` is looked up.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from senet_core.architectures import ARCHITECTURES
from senet_core.config import tuples
from senet_core.errors import InputError, nearest, unknown

T = TypeVar("T")

_source_being_loaded: ContextVar[str | None] = ContextVar("source_being_loaded", default=None)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered thing: its version is raised when its behaviour changes; ``source`` is the hash of a user's own file."""

    name: str
    value: T
    version: int = 1
    births: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None

    @property
    def identity(self) -> int | str | None:
        """What enters a trial's key: nothing at version 1, the version above it, the source's hash for a loaded file."""
        if self.source is not None:
            return self.source
        return self.version if self.version > 1 else None

    def birth(self, argument: str) -> Any:
        """The birth value of an argument (what trials meant before it existed): its default unless declared otherwise."""
        if argument in self.births:
            return self.births[argument]
        return _parameters(self.value)[argument].default

    def bind(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments checked against the signature's annotations and completed by its defaults, in the signature's order.

        :raises InputError: for an unknown argument, a wrong type, or a missing one.
        """
        parameters = _parameters(self.value)
        for wrong in arguments.keys() - parameters.keys():
            known = ", ".join(parameters) or "none"
            raise InputError(f"The {kind} '{self.name}' takes no argument '{wrong}'{nearest(wrong, parameters) or '.'} It takes: {known}.")
        bound: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if name not in arguments and parameter.default is inspect.Parameter.empty:
                raise InputError(f"The {kind} '{self.name}' needs the argument '{name}'.")
            bound[name] = _checked(f"{kind} '{self.name}': {name}", parameter.annotation, arguments.get(name, parameter.default))
        return bound


@cache
def _parameters(value: Any) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a class or function, annotations resolved: they are its schema."""
    function = value.__init__ if inspect.isclass(value) else value
    hints = typing.get_type_hints(function)
    found = inspect.signature(function).parameters.values()
    return {p.name: p.replace(annotation=hints.get(p.name, Any)) for p in found if p.kind is p.KEYWORD_ONLY}


def _checked(what: str, annotation: Any, value: Any) -> Any:
    if typing.get_origin(annotation) is tuple and not isinstance(value, list | tuple):
        value = (value,)  # one number is a list of one, as a command line has it
    try:
        return TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(tuples(value))
    except ValidationError as error:
        raise InputError(f"{what} cannot be {value!r}: {error.errors()[0]['msg'].lower()}.") from None


class Registry(Generic[T]):
    """Names to things of one kind, found in the files of one package (or only by decorator, where ``package`` is None).

    ``also`` are further names that a user may write for things of this kind; an unknown name is told of them too.
    """

    def __init__(self, kind: str, package: str | None = None, also: Iterable[str] = ()) -> None:
        self.kind = kind
        self.also = tuple(also)
        self._package = package
        self._entries: dict[str, Entry[T]] = {}

    def add(self, name: str, *, version: int = 1, births: Mapping[str, Any] | None = None) -> Callable[[T], T]:
        """Decorator that registers a class or function.

        :raises InputError: if the name is taken already, by another file or by a file that has not been imported yet.
        """

        def register(value: T) -> T:
            home = getattr(value, "__module__", "")
            own_file = f"{self._package}.{name}"
            if name in self._entries or (name in self._files() and home != own_file):
                raise InputError(f"There are two {self.kind}s named '{name}'; give one of them another name.")
            # A loaded file may import one of ours for the first time: that one keeps its version.
            source = None if home == own_file else _source_being_loaded.get()
            self._entries[name] = Entry(name, value, version, dict(births or {}), source)
            return value

        return register

    def names(self) -> list[str]:
        """All known names, sorted, without importing their files."""
        return sorted({*self._entries, *self._files()})

    def loaded(self, source: str) -> list[str]:
        """The names that a user's own file registered, itself or by a file that it loads, by the hash that ``load_file`` returned."""
        sources = _with_inner(source)
        return sorted(name for name, entry in self._entries.items() if entry.source in sources)

    def __getitem__(self, name: str) -> Entry[T]:
        if name not in self._entries and name in self._files():
            importlib.import_module(f"{self._package}.{name}")
        if name not in self._entries:
            raise unknown(self.kind, name, [*self.names(), *self.also])
        return self._entries[name]

    def _files(self) -> list[str]:
        if self._package is None:
            return []
        package = importlib.import_module(self._package)
        return [module.name for module in pkgutil.iter_modules(package.__path__)]


_loaded: list[str] = []
_inner: dict[str, set[str]] = {}
"""For a loaded file's hash those of the files that it loads in turn."""


def _with_inner(source: str) -> set[str]:
    return {source}.union(*map(_with_inner, _inner.get(source, ())))


def loaded_sources() -> list[str]:
    """The source hashes of all files that ``load_file`` imported, in order."""
    return list(_loaded)


def load_file(path: Path) -> str:
    """Import one file from outside the tree; what it registers is known by the hash of its source, which is returned.

    It may import modules that lie beside it. And it may load another file in turn: a suite its block, which keeps a hash of its own, so
    that an edited question trains nothing anew.

    :raises InputError: if the file is missing or cannot be imported.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise InputError(f"Cannot read the file '{path}': {error.strerror}.") from None
    outer = _source_being_loaded.get()
    if outer is not None and outer != digest:
        _inner.setdefault(outer, set()).add(digest)
    spec = importlib.util.spec_from_file_location(f"loaded_{digest}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"'{path}' is no Python file, so --load cannot import it.")
    if spec.name in sys.modules:
        return digest
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    beside = str(path.resolve().parent)  # so that the file can import its neighbours; last, so that none of them hides a package
    if beside not in sys.path:
        sys.path.append(beside)
    token = _source_being_loaded.set(digest)
    try:
        spec.loader.exec_module(module)
    except InputError:
        del sys.modules[spec.name]
        raise
    except Exception as error:
        del sys.modules[spec.name]
        raise InputError(f"The file '{path}' fails on import: {type(error).__name__}: {error}.") from error
    finally:
        _source_being_loaded.reset(token)
    _loaded.append(digest)
    return digest


BLOCKS: Registry[Any] = Registry("block", "senet_core.blocks")
NETWORKS: Registry[Any] = Registry("network", "senet_core.networks", also=ARCHITECTURES)
DATASETS: Registry[Any] = Registry("data set", "senet_core.data")
