"""Small changes to a module's meaning, one at a time."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

__all__ = ["Mutant", "mutants"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {
    **{"min": "max", "max": "min", "any": "all", "all": "any"},
    **{"minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor"},
    **{"sum": "max", "mean": "median", "argmin": "argmax", "argmax": "argmin"},
}

Change = Callable[[ast.AST], ast.AST | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A module with one change.

    Attributes
    ----------
    line : int
        Where.
    change : str
        What was there, and what is now.
    tree : ast.Module
    """

    line: int
    change: str
    tree: ast.Module


@lru_cache(maxsize=8)
def mutants(source: str) -> list[Mutant]:
    """Return every mutant of a module; documentation, annotations and `__all__` stay as they are.

    Examples
    --------
    >>> [one.change for one in mutants("def f(x):\\n    return x < 3")]
    ['return x < 3 becomes return None', 'x < 3 becomes x <= 3', '3 becomes 4']
    """
    tree = ast.parse(source)
    silent = _left_alone(tree)
    return [
        _changed(source, place, change)
        for place, node in enumerate(ast.walk(tree))
        if node not in silent
        for change in _changes(node)
    ]


def _changed(source: str, place: int, change: Change) -> Mutant:
    copy = ast.parse(source)
    mine = next(islice(ast.walk(copy), place, None))
    was, line = ast.unparse(mine), getattr(mine, "lineno", 0)
    new = change(mine)
    if new is not None:
        _Replace(mine, new).visit(copy)
    ast.fix_missing_locations(copy)
    said = f"{was} becomes {ast.unparse(new or mine)}"
    return Mutant(line=line, change=said, tree=copy)


def _changes(node: ast.AST) -> Iterator[Change]:
    yield from _changed_operators(node)
    match node:
        case ast.Constant(value=bool() as value):
            yield _with("value", not value)
        case ast.Constant(value=int() | float() as value):
            yield _with("value", value + 1)
        case ast.IfExp():
            yield _only("body")
            yield _only("orelse")
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield _with("id", _NAMES[name])
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in _NAMES:
            yield _with("attr", _NAMES[name])
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield _with("value", ast.Constant(None))


def _changed_operators(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            yield _with("ops", [_COMPARISONS[type(op)]()])
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            yield _with("op", _OPERATORS[type(op)]())
        case ast.BoolOp(op=op):
            yield _with("op", ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            yield _only("operand")


def _with(name: str, value: object) -> Change:
    def change(node: ast.AST) -> None:
        setattr(node, name, value)

    return change


def _only(name: str) -> Change:
    def change(node: ast.AST) -> ast.AST:
        part: ast.AST = getattr(node, name)
        return part

    return change


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _left_alone(tree: ast.Module) -> set[ast.AST]:
    """Return what has no meaning when it runs."""
    parts = (part for node in ast.walk(tree) for part in _silent(node) if part is not None)
    return {inner for part in parts for inner in ast.walk(part)}


def _silent(node: ast.AST) -> Sequence[ast.AST | None]:
    match node:
        case ast.FunctionDef():
            arguments = [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]
            return [node.returns, *(one.annotation for one in arguments)]
        case ast.ClassDef():
            return node.decorator_list
        case ast.AnnAssign():
            return [node.annotation]
        case ast.keyword(arg="strict"):
            return [node.value]  # of `zip`: a word to the reader, its columns are of one length
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.Raise():
            return [node]  # of an error the words; whether it is raised is tried where it is asked
    return []


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)
