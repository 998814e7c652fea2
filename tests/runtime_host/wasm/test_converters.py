"""The compiled converters agree with wasmtime-py's own conversion, value for value, and refuse what does not fit."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import Store
from wasmtime.component import Func, Linker, Record, Variant

from consent_core.decision.contract import Err, Ok
from consent_core.errors import Unavailable
from runtime_host.wasm import _ffi
from runtime_host.wasm.converters import Converter, ResultLimits
from runtime_host.wasm.engine import shared_engine
from tests.runtime_host.wasm import guests

INTERFACE = "test:echo/echo@0.1.0"
COLOURS = ("red", "green", "deep-blue")


class Echo:
    """The echo component, callable our way and wasmtime-py's way."""

    def __init__(self, limits: ResultLimits | None = None) -> None:
        component = guests.compiled(guests.echo()).component
        self.store = Store(shared_engine())
        self.store.set_epoch_deadline(1_000_000)
        instance = Linker(shared_engine()).instantiate(self.store, component)
        interface = component.get_export_index(INTERFACE)
        function = instance.get_func(self.store, component.get_export_index("echo", interface))
        assert function is not None
        self.function: Func = function
        self.converter = Converter(function.type(self.store), {}, limits)
        self.slot = _ffi.ResultSlot()

    def ours(self, value: Any) -> Any:
        packed = self.converter.pack((value,))
        address, context = _ffi.function_address(self.function), _ffi.context_address(self.store)
        assert _ffi.call(address, context, packed, 1, self.slot.address) is None
        return self.converter.read(self.slot)

    def stock(self, value: Any) -> Any:
        return self.function(self.store, _stock(value))


def _stock(value: Any) -> Any:
    """Our spelling of a value in wasmtime-py's: lists are lists, results are tagged only where types overlap."""
    match value:
        case SimpleNamespace():
            record = Record()
            vars(record).update({_dashed(name): _stock_field(name, field) for name, field in vars(value).items()})
            return record
        case tuple():
            return [_stock(item) for item in value]
    return value


def _stock_field(name: str, value: Any) -> Any:
    if name == "outcome":
        return Variant("ok" if isinstance(value, Ok) else "err", value.value)
    return value.value if name == "silent" else _stock(value)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _plain(value: Any) -> Any:
    """Either spelling of a result as one tree that compares."""
    if hasattr(value, "_asdict"):
        return {_dashed(name): _plain(field) for name, field in value._asdict().items()}
    if type(value).__name__ == "Record":
        return {name: _plain(field) for name, field in vars(value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Ok | Err):
        return value.value
    return value.payload if isinstance(value, Variant) else value


def _integer(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
colours = st.sampled_from(COLOURS)
points = st.builds(SimpleNamespace, x=_integer(16, signed=True), y=_integer(16, signed=True), the_label=texts)
everything = st.builds(
    SimpleNamespace,
    yes=st.booleans(),
    a=_integer(8, signed=True),
    b=_integer(8, signed=False),
    c=_integer(16, signed=True),
    d=_integer(16, signed=False),
    e=_integer(32, signed=True),
    f=_integer(32, signed=False),
    g=_integer(64, signed=True),
    h=_integer(64, signed=False),
    i=st.floats(width=32, allow_nan=False),
    j=st.floats(allow_nan=False),
    text=texts,
    texts=st.lists(texts, max_size=4).map(tuple),
    raw=st.binary(max_size=70),
    points=st.lists(points, max_size=3).map(tuple),
    colour=colours,
    colours=st.lists(colours, max_size=4).map(tuple),
    maybe_text=st.none() | texts,
    maybe_point=st.none() | points,
    maybe_points=st.none() | st.lists(points, max_size=2).map(tuple),
    outcome=st.builds(Ok, texts) | st.builds(Err, colours),
    silent=st.just(Ok(None)) | st.builds(Err, colours),
    nested=st.lists(st.lists(_integer(32, signed=False), max_size=3).map(tuple), max_size=3).map(tuple),
)
ONE = SimpleNamespace(
    **{"yes": True, "a": -1, "b": 1, "c": -1, "d": 1, "e": -1, "f": 1, "g": -1, "h": 1, "i": 0.5, "j": 0.25},
    **{"text": "é☃", "texts": (), "raw": b"", "points": (), "colour": "red", "colours": (), "maybe_text": None},
    **{"maybe_point": None, "maybe_points": (), "outcome": Ok(""), "silent": Ok(None), "nested": ((),)},
)


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


def _with(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(ONE), **fields})


@settings(max_examples=150, deadline=None)
@given(value=everything)
def test_a_value_comes_back_as_it_went_in_and_as_wasmtime_py_would_say_it(value: SimpleNamespace) -> None:
    """Every supported type, empty and full, ASCII or not, converts exactly as the stock converter does it."""
    echo = Echo()

    ours = echo.ours(value)

    assert _plain(echo.stock(value)) == _plain(ours)
    assert vars(value).keys() == ours._asdict().keys()
    assert isinstance(ours.outcome, type(value.outcome))


@pytest.mark.parametrize(
    "fields",
    [
        *({"a": 128}, {"a": -129}, {"b": 256}, {"b": -1}, {"c": 2**15}, {"d": -1}, {"e": 2**31}, {"f": 2**32}),
        *({"g": 2**63}, {"h": -1}, {"h": 2**64}, {"colour": "purple"}, {"text": "\ud800"}, {"texts": ("\udfff",)}),
        *({"text": None}, {"raw": None}, {"outcome": Err("purple")}, {"points": (None,)}, {"a": "1"}),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_its_type_is_refused_on_the_host(echo: Echo, fields: dict[str, Any]) -> None:
    """Nothing is cut, wrapped or guessed: stock wasmtime-py would have sent 256 as 0."""
    with pytest.raises((ValueError, TypeError, AttributeError)):
        echo.ours(_with(**fields))

    assert echo.ours(ONE).text == ONE.text


def test_the_result_slot_can_be_used_again_after_its_value_was_freed(echo: Echo) -> None:
    """Without resetting the slot's kind the second call would free the first result twice and end the process."""
    answers = {echo.ours(_with(text=f"call {n}", texts=("x",) * n)).text for n in range(50)}

    assert {f"call {n}" for n in range(50)} == answers


def test_arguments_larger_than_the_arena_make_it_grow(echo: Echo) -> None:
    """The first pack finds the arena full, doubles it and starts again; the value is whole."""
    value = _with(texts=tuple(f"text {n}" * 10 for n in range(3000)))

    assert value.texts == echo.ours(value).texts


def test_arguments_beyond_the_largest_arena_are_refused(echo: Echo) -> None:
    """A caller cannot make the host hold any amount of memory."""
    with pytest.raises(ValueError, match="more than"):
        echo.ours(_with(text="x" * (5 * 1024 * 1024)))


def test_a_result_with_too_many_values_is_not_read() -> None:
    """The limit counts the values of all lists together, so nesting does not get around it."""
    small = Echo(ResultLimits(items=10))
    small.ours(_with(nested=((1, 2), (3, 4), (5, 6))))

    with pytest.raises(Unavailable) as refusal:
        small.ours(_with(nested=((1, 2, 3), (4, 5, 6), (7, 8, 9))))

    assert refusal.value.code == "sandbox-rubbish"


def test_a_result_with_a_long_string_is_not_read() -> None:
    """The limit counts bytes, not characters."""
    small = Echo(ResultLimits(string_bytes=8))
    small.ours(_with(text="12345678"))

    with pytest.raises(Unavailable) as refusal:
        small.ours(_with(text="☃☃☃"))

    assert refusal.value.code == "sandbox-rubbish"


def test_a_wrong_number_of_arguments_is_refused(echo: Echo) -> None:
    """The C call would read past the packed arguments."""
    with pytest.raises(TypeError, match="expected 1 arguments"):
        echo.converter.pack((ONE, ONE))


def test_a_changed_memory_layout_is_refused_with_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another wasmtime-py must stop the import, not corrupt memory."""
    _ffi.check_layout()
    monkeypatch.setattr(_ffi, "VAL_BYTES", 24)

    with pytest.raises(RuntimeError, match="another memory layout"):
        _ffi.check_layout()
