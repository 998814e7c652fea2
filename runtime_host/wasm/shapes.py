"""A function's type as text, so that a component built against another version of `wit/` is told apart at start.

    shape(function_type)    # "(string, u8) -> result<{asset: string}, no-signal|bad-input>"

Records are their fields, enums their cases: WIT types are structural at this boundary.
"""

from collections.abc import Callable
from typing import Any

from wasmtime import component as wit
from wasmtime.component import FuncType, ValType


def shape(function: FuncType) -> str:
    """The type of a function, without the names of its parameters."""
    parameters = ", ".join(type_shape(kind) for _, kind in function.params)
    result = function.result
    return f"({parameters})" if result is None else f"({parameters}) -> {type_shape(result)}"


def type_shape(kind: ValType) -> str:
    """The type of a value."""
    for supported, describe in _SHAPES:
        if isinstance(kind, supported):
            return describe(kind)
    return type(kind).__name__.removesuffix("Type").lower()


def _record(kind: wit.RecordType) -> str:
    return "{" + ", ".join(f"{name}: {type_shape(field)}" for name, field in kind.fields) + "}"


def _result(kind: wit.ResultType) -> str:
    halves = ("_" if half is None else type_shape(half) for half in (kind.ok, kind.err))
    return f"result<{', '.join(halves)}>"


_SHAPES: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (wit.RecordType, _record),
    (wit.ListType, lambda kind: f"list<{type_shape(kind.element)}>"),
    (wit.OptionType, lambda kind: f"option<{type_shape(kind.payload)}>"),
    (wit.EnumType, lambda kind: "|".join(kind.names)),
    (wit.ResultType, _result),
)
