"""The one module that touches wasmtime-py's private interface: addresses, memory layout, the raw component call.

Everything here is an integer address. `check_layout` runs on import and refuses a wasmtime-py whose C structures are
not those the converters write and read.
Source: wasmtime 50 C API, `wasmtime/component/val.h` and `wasmtime/component/func.h`.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from wasmtime import Store
from wasmtime import _ffi as private
from wasmtime.component import Func

VAL_BYTES = 32  # kind (8, one byte used), then the union (24)
UNION_AT = 8
ENTRY_BYTES = 48  # a record's field: name (length, address), then its val

# Kinds of `wasmtime_component_val_t`.
BOOL, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64 = range(11)
STRING, LIST, RECORD, ENUM, OPTION, RESULT = 12, 13, 14, 17, 18, 19

string_at: Callable[[int, int], bytes] = ctypes.string_at


def check_layout() -> None:
    """Compare the installed wasmtime-py with what this package was written against. Raises: RuntimeError."""
    found = {
        "val": ctypes.sizeof(private.wasmtime_component_val_t),
        "union": _offset(private.wasmtime_component_val_t, "of"),
        "entry": ctypes.sizeof(private.wasmtime_component_valrecord_entry),
        "entry val": _offset(private.wasmtime_component_valrecord_entry, "val"),
        "byte vec data": _offset(private.wasm_byte_vec_t, "data"),
        "list data": _offset(private.wasmtime_component_vallist_t, "data"),
        "result val": _offset(private.wasmtime_component_valresult_t, "val"),
        "kinds": tuple(getattr(private, f"WASMTIME_COMPONENT_{name}").value for name in _KINDS),
    }
    expected = {
        "val": VAL_BYTES,
        "union": UNION_AT,
        "entry": ENTRY_BYTES,
        "entry val": 16,
        "byte vec data": 8,
        "list data": 8,
        "result val": 8,
        "kinds": (*range(11), STRING, LIST, RECORD, ENUM, OPTION, RESULT),
    }
    if found != expected:
        changed = {name: (expected[name], found[name]) for name in expected if expected[name] != found[name]}
        raise RuntimeError(f"this wasmtime-py has another memory layout (expected, found): {changed}")


def _offset(structure: Any, field: str) -> int:
    return int(getattr(structure, field).offset)


_KINDS = (
    *("BOOL", "S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64"),
    *("STRING", "LIST", "RECORD", "ENUM", "OPTION", "RESULT"),
)
check_layout()


def _prototype(name: str, returns: Any, *takes: Any) -> Any:
    """Our own handle on a C function: integer addresses instead of typed pointers. wasmtime-py's stays as it is."""
    function = private.dll[name]  # unlike attribute access, this makes a new function object each time
    function.restype = returns
    function.argtypes = takes
    return function


_address = ctypes.c_void_p
_size = ctypes.c_size_t
_call = _prototype("wasmtime_component_func_call", _address, _address, _address, _address, _size, _address, _size)
_delete_val = _prototype("wasmtime_component_val_delete", None, _address)
_delete_error = _prototype("wasmtime_error_delete", None, _address)
_error_message = _prototype("wasmtime_error_message", None, _address, _address)


class Memory:
    """Zeroed host memory at a fixed address, freed with this object."""

    __slots__ = ("address", "size", "view")

    def __init__(self, size: int) -> None:
        buffer = ctypes.create_string_buffer(size)
        self.address = ctypes.addressof(buffer)
        self.size = size
        self.view = memoryview(buffer).cast("B")


class ResultSlot:
    """Where a call writes its result. The C side owns what the slot points to until `release`."""

    __slots__ = ("_memory", "address")

    def __init__(self) -> None:
        self._memory = Memory(VAL_BYTES)
        self.address = self._memory.address

    def words(self) -> tuple[int, int]:
        """The first two words of the value's union."""
        raw = string_at(self.address + UNION_AT, 16)
        return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")

    def release(self) -> None:
        """Free what the slot points to, once, and make it a plain `false`.

        The next call drops the value that the slot holds before it writes: without the reset it would free the same
        memory again.
        """
        _delete_val(self.address)
        self._memory.view[:VAL_BYTES] = bytes(VAL_BYTES)


def function_address(function: Func) -> int:
    """Address of a function of a live instance. Valid while `function` is referenced and its store is open."""
    return ctypes.addressof(function._func)


def context_address(store: Store) -> int:
    """Address of an open store's context."""
    address = ctypes.cast(store._context(), _address).value
    if address is None:
        raise RuntimeError("the store is closed")
    return address


def call(function: int, context: int, arguments: int, count: int, result: int) -> str | None:
    """Call a component function. The arguments stay ours; the result is the slot's.

    Returns: None when the call succeeded, else wasmtime's message. Unlike `Func.__call__` it never looks at the
    process-wide last exception, which belongs to whichever thread was there last.
    """
    error = _call(function, context, arguments, count, result, 1 if result else 0)
    return None if error is None else _take_message(error)


def _take_message(error: int) -> str:
    text = private.wasm_byte_vec_t()
    _error_message(error, ctypes.addressof(text))
    message = ctypes.string_at(text.data, text.size).decode("utf-8", "replace")
    private.wasm_byte_vec_delete(ctypes.byref(text))
    _delete_error(error)
    return message
