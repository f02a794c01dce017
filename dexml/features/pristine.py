"""Copies of a user's function that remember nothing: as it was when it was registered."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, TypeVar

from dexml.features.studies import Derived, HigherStudy

__all__ = ["keep", "of_a_user"]

T = TypeVar("T")
_PRODUCT = str(Path(__file__).resolve().parents[1])
_INSTALLED = (_PRODUCT, *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")))


def of_a_user(value: object) -> bool:
    """Tell whether a function was written neither here nor for an installed library.

    Examples
    --------
    >>> of_a_user(keep), of_a_user(deepcopy)
    (False, False)
    """
    code = getattr(value, "__code__", None)
    file = code.co_filename if isinstance(code, CodeType) else ""
    return not file.startswith(_INSTALLED) and "-packages" not in file


def keep(parts: T) -> Callable[[], T]:
    """Keep functions with all they can reach; return what makes a copy of them as they are now.

    A copy has global and enclosing variables, default values, attributes and caches of its own.
    What a class, another module or a file remembers is not kept: all copies share it.

    Examples
    --------
    >>> seen = []
    >>> def last(value, seen=seen):
    ...     seen.append(value)
    ...     return seen[0]
    >>> made = keep(last)
    >>> last("first"), last("second"), made()("third"), made()("fourth")
    ('first', 'first', 'third', 'fourth')
    """
    first = _Copying({})
    kept: T = first.of(parts)
    return lambda: _Copying(first.origins).of(kept)


class _Copying:
    """One copy: what two functions share, their copies share too."""

    def __init__(self, late: dict[int, dict[str, Any]]) -> None:
        self._late = late  # the names that a module got after its function was kept
        self._made: dict[int, Any] = {}
        self._named: set[tuple[int, str]] = set()
        self.origins: dict[int, dict[str, Any]] = {}

    def of(self, value: Any) -> Any:
        if id(value) not in self._made:
            made = self._copy(value)
            self._made.setdefault(id(value), made)
        return self._made[id(value)]

    def _copy(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._function(value) if of_a_user(value) else value
        if hasattr(value, "cache_parameters"):
            return lru_cache(**value.cache_parameters())(self.of(value.__wrapped__))
        if isinstance(value, partial):
            given = {name: self.of(one) for name, one in value.keywords.items()}
            return partial(self.of(value.func), *map(self.of, value.args), **given)
        if isinstance(value, MethodType):
            return MethodType(self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, Derived | HigherStudy):
            formula, reads = self.of(value.formula), self.of(value.reads)
            return replace(value, formula=formula, reads=reads)
        if type(value) is tuple:
            return tuple(map(self.of, value))
        return self._value(value)

    # What refuses to be copied (a lock, a connection) is shared: nothing else can be done with it.
    def _value(self, value: Any) -> Any:
        try:
            return deepcopy(value, self._made)
        except Exception:  # copying runs code of the user's
            return value

    def _function(self, value: FunctionType) -> FunctionType:
        space = self._space(value.__globals__)
        cells = tuple(self._cell(cell) for cell in value.__closure__ or ())
        made = FunctionType(value.__code__, space, value.__name__, None, cells)
        self._made[id(value)] = made
        for old, new in zip(value.__closure__ or (), cells, strict=True):
            if _filled(old) and not _filled(new):
                new.cell_contents = self.of(old.cell_contents)
        self._name(value, space)
        made.__defaults__ = self.of(value.__defaults__)
        made.__kwdefaults__ = self.of(value.__kwdefaults__)
        made.__dict__.update({name: self.of(one) for name, one in value.__dict__.items()})
        return made

    def _space(self, names: dict[str, Any]) -> dict[str, Any]:
        if id(names) not in self._made:
            origin = self._late.get(id(names), {})
            made = {**{name: one for name, one in origin.items() if name not in names}, **names}
            self._made[id(names)] = made
            self.origins[id(made)] = names
        space: dict[str, Any] = self._made[id(names)]
        return space

    def _name(self, value: FunctionType, space: dict[str, Any]) -> None:
        for name in _names(value.__code__):
            if name in space and (id(space), name) not in self._named:
                self._named.add((id(space), name))
                space[name] = self.of(space[name])

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self._made:
            self._made[id(cell)] = CellType()
        made: CellType = self._made[id(cell)]
        return made


def _filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
