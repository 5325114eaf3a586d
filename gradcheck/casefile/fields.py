"""What may stand at a key of a case file: each type says what it expected when it refuses."""

from __future__ import annotations

import keyword
import re
from decimal import Decimal
from typing import Annotated, Any, Final, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gradcheck.casefile.domain import EXAMPLE, Interval, NoIntervalError, interval
from gradcheck.language.spelling import suggestion

LARGEST_SIZE: Final = 2**24
MOST_DIMENSIONS: Final = 32
MOST_DIGITS: Final = 15
MOST_SAMPLES: Final = 1_000
DEVICES: Final = ("auto", "all", "cpu", "cuda", "cuda:0")
BLAMES: Final = ("handwritten", "autograd", "numeric", "function", "expected")
"""Who may be to blame, in the order in which several are named."""

MOST_PASSES: Final = 100

_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_RESERVED_TAGS: Final = (
    *("and", "or", "not", "True", "False", "None"),
    *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
)
_LARGEST: Final = Decimal("1.7976931348623157e308")
_DEVICE: Final = re.compile(r"auto|all|cpu|cuda(:\d{1,3})?", re.ASCII)

Position = tuple[int, ...]
"""The indexes that lead to an item of nested lists."""


def _expect(what: str, path: Position = ()) -> NoReturn:
    """The message `expected …, found …`, at the item of the value."""
    raise PydanticCustomError("expected", what, {"path": path})


def _refuse(message: str, path: Position = ()) -> NoReturn:
    raise PydanticCustomError("refused", message, {"path": path})


def _is_number(value: object) -> bool:
    return type(value) is int or isinstance(value, Decimal)


def _is_finite(value: int | Decimal) -> bool:
    return isinstance(value, int) or value.is_finite()


def _filled(value: object) -> object:
    if value is None:
        raise PydanticCustomError("unfilled", "there is no value")
    return value


def _formula(value: Any) -> str | int | Decimal:
    if not isinstance(value, str) and not (_is_number(value) and _is_finite(value)):
        _expect("a formula")
    return value  # type: ignore[no-any-return]


def _numbers(value: object) -> object:
    _shape(value, ())
    return value


def _finite_numbers(value: object) -> object:
    _shape(value, (), finite=True)
    return value


def _published(value: object) -> object:
    if isinstance(value, str):
        if value != "none":
            _expect("a number, a list of numbers or none")
        return None
    return _numbers(value)


def _tag(value: str) -> str:
    """A word that pytest's -m can select by, and does nothing else with."""
    if value in _RESERVED_TAGS:
        _refuse(f"`{value}` means something to pytest: use another tag")
    if not _TAG.fullmatch(value):
        _refuse(f"`{value}` is no tag: use letters, digits, _, . and -")
    return value


def _shape(value: Any, path: Position, *, finite: bool = False) -> tuple[int, ...]:
    """The shape of nested lists of numbers; refused where they are ragged."""
    if not isinstance(value, list):
        _check_number(value, path, finite)
        return ()
    if len(path) == MOST_DIMENSIONS:
        _refuse(f"lists are nested more than {MOST_DIMENSIONS} deep", path)
    inner: tuple[int, ...] = ()
    for index, item in enumerate(value):
        shape = _shape(item, (*path, index), finite=finite)
        if index == 0:
            inner = shape
        elif shape != inner:
            before = _described(inner)
            _refuse(f"this is {_described(shape)}, the item before it {before}", (*path, index))
    return (len(value), *inner)


def _described(shape: tuple[int, ...]) -> str:
    if not shape:
        return "a number"
    return f"a list of {shape[0]}" if len(shape) == 1 else f"of shape {list(shape)}"


def _check_number(value: Any, path: Position, finite: bool) -> None:
    if not _is_number(value):
        _expect("a number or a list of numbers" if not path else "a number", path)
    if not _is_finite(value):
        if finite:
            _refuse("nothing can be differentiated here: an input is a finite number", path)
    elif abs(value) > _LARGEST:
        _refuse("this number is larger than any float64", path)


def _resolution(value: Any) -> int | Decimal:
    if not (_is_number(value) and _is_finite(value) and 0 < value <= 1 and float(value) > 0):
        _expect("a number above 0 and at most 1")
    return value  # type: ignore[no-any-return]


def _digits(value: Any) -> int | Decimal:
    if not (_is_number(value) and _is_finite(value) and 0 < value <= MOST_DIGITS):
        _expect(f"a number above 0 and at most {MOST_DIGITS}")
    return value  # type: ignore[no-any-return]


def _from_1_to(most: int) -> tuple[PlainValidator, WithJsonSchema]:
    """What makes an `int` a whole number from 1 to `most`."""

    def validate(value: Any) -> int:
        if type(value) is not int or not 1 <= value <= most:
            _expect(f"a whole number from 1 to {most:,}")
        return value

    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return PlainValidator(validate), WithJsonSchema(schema)


def _sizes(value: Any) -> int | list[int]:
    """A size, or the sizes that make one case each."""
    if not isinstance(value, list):
        _check_size(value, (), "a whole number from 0, or a list of them")
    elif not value:
        _expect("at least one size")
    else:
        seen: set[int] = set()
        for index, size in enumerate(value):
            _check_size(size, (index,), "a whole number from 0")
            if size in seen:
                _refuse("this size is listed twice", (index,))
            seen.add(size)
    return value  # type: ignore[no-any-return]


def _check_size(value: Any, path: Position, expected: str) -> None:
    if type(value) is not int or value < 0:
        _expect(expected, path)
    if value > LARGEST_SIZE:
        _refuse(f"a size is at most {LARGEST_SIZE:,}", path)


def _dimensions(value: Any) -> list[int | str]:
    if not isinstance(value, list):
        _expect("a list of sizes, such as [2, 3]")
    if len(value) > MOST_DIMENSIONS:
        _refuse(f"a shape has at most {MOST_DIMENSIONS} dimensions")
    for index, size in enumerate(value):
        if not isinstance(size, str):
            _check_size(size, (index,), "a whole number from 0, or the name of a size")
    return value


def _imported(value: Any) -> str:
    """`module:name`, both of them dotted identifiers."""
    if not isinstance(value, str):
        _expect("a text, as in mykernels.norm:RMSNorm")
    if not is_imported(value):
        meant = f"write `module:name`, as in `{_as_imported(value)}`"
        _refuse(f"`{value}` names no function: {meant}")
    return value


def is_dotted(name: str) -> bool:
    """Whether it is a name in Python, or several with dots between."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split("."))


def is_imported(text: str) -> bool:
    """Whether it reads `module:name`."""
    module, _, name = text.partition(":")
    return is_dotted(module) and is_dotted(name)


def _as_imported(text: str) -> str:
    """What may be meant by a name that is written otherwise, such as by a path to its file."""
    text = re.sub(r"\.py\b", "", text).replace("::", ":").replace("/", ".").strip()
    module, _, name = text.rpartition(".")
    candidates = (text, f"{module}:{name}", "mykernels.norm:RMSNorm")
    return next(candidate for candidate in candidates if is_imported(candidate))


def names_python(value: object) -> bool:
    """Whether it is a mapping with the key `python`, or one that is spelled nearly so."""
    return isinstance(value, dict) and any(
        key == "python"
        or (isinstance(one, str) and is_imported(one) and bool(suggestion(key, ["python"])))
        for key, one in value.items()
    )


def stands_alone(value: Any, known: tuple[str, ...]) -> Any:
    """Refuses a mapping with the key `python` that has steps or lines beside it."""
    others = [key for key in value if key not in known] if isinstance(value, dict) else []
    if any(not suggestion(key, known) for key in others):
        message = "`python` names something in a module: no step or line is called so"
        context: dict[str, Any] = {"path": ("python",), "is_key": True}
        raise PydanticCustomError("refused", message, context)
    return value


def _plain(value: Any) -> Any:
    _check_plain(value, ())
    return value


def _check_plain(value: Any, path: Position) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, (*path, index))
    elif isinstance(value, dict):
        _expect("a number, a text, true, false, null or a list of them", path)
    elif isinstance(value, Decimal) and value.is_finite() and abs(value) > _LARGEST:
        _refuse("this number is larger than any float64", path)


def _positive(value: Any) -> float:
    if not (_is_number(value) and _is_finite(value) and 0 < value <= _LARGEST and float(value) > 0):
        _expect("a number above 0")
    return float(value)


def _interval(value: Any) -> Interval:
    try:
        return interval(value)
    except NoIntervalError as error:
        path = () if error.end is None else (error.end,)
        if error.message:
            _refuse(error.message, path)
        _expect(EXAMPLE, path)


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        _choose(value, DEVICES)
    return value


def _blame(value: str) -> str:
    """Names joined by commas, in the order in which a verdict has them."""
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in BLAMES:
            _choose(name, BLAMES)
    return ",".join(name for name in BLAMES if name in names)


def _choose(given: str, known: tuple[str, ...]) -> NoReturn:
    raise PydanticCustomError("choice", "none of these", {"given": given, "known": known})


_SIZE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE}
_NUMBERS: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "number"},
        {"type": "array", "items": {"type": ["number", "array"]}},
    ]
}

T = TypeVar("T")
Optional = Annotated[T | None, BeforeValidator(_filled)]
"""A key that may be left out; where it is written, its value is too."""

Formula = Annotated[
    str | int | Decimal, PlainValidator(_formula), WithJsonSchema({"type": ["string", "number"]})
]
Numbers = Annotated[Any, PlainValidator(_numbers), WithJsonSchema(_NUMBERS)]
"""A number, or nested lists of numbers, exactly as they are written."""
Published = Annotated[
    Any,
    PlainValidator(_published),
    WithJsonSchema(
        {
            "anyOf": [*_NUMBERS["anyOf"], {"const": "none"}],
            "description": "What was published of this value or derivative, as it was printed.",
            "examples": [-5.4668, [1, -2], "none"],
        }
    ),
]
"""Numbers, or `none` (which becomes None) for a gradient that is not there."""
FiniteNumbers = Annotated[Any, PlainValidator(_finite_numbers), WithJsonSchema(_NUMBERS)]
Resolution = Annotated[
    int | Decimal,
    PlainValidator(_resolution),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
]
Digits = Annotated[
    int | Decimal,
    PlainValidator(_digits),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_DIGITS}),
]
Positive = Annotated[
    float,
    PlainValidator(_positive),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
_END: Final[dict[str, Any]] = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf"]}]}
Domain = Annotated[
    Interval,
    PlainValidator(_interval),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*[\[(][^,]+,[^,]+[\])]\s*$"},
                {"type": "array", "items": _END, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
"""An interval: a text in the usual notation, or a list of its two ends, which are in it."""
ImportedName = Annotated[
    str,
    PlainValidator(_imported),
    WithJsonSchema({"type": "string", "pattern": r"^[^:\s]+:[^:\s]+$"}),
]
"""`module:name`."""
Plain = Annotated[Any, PlainValidator(_plain), WithJsonSchema({})]
"""A number, a text, true, false, null, or nested lists of them."""
Samples = Annotated[int, *_from_1_to(MOST_SAMPLES)]
Passes = Annotated[int, *_from_1_to(MOST_PASSES)]
Tag = Annotated[
    str,
    AfterValidator(_tag),
    WithJsonSchema({"type": "string", "pattern": f"^({_TAG.pattern})$"}),
]
Sizes = Annotated[
    Any,
    PlainValidator(_sizes),
    WithJsonSchema(
        {"anyOf": [_SIZE, {"type": "array", "items": _SIZE, "minItems": 1, "uniqueItems": True}]}
    ),
]
Dimensions = Annotated[
    list[int | str],
    PlainValidator(_dimensions),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"anyOf": [_SIZE, {"type": "string"}]},
            "maxItems": MOST_DIMENSIONS,
        }
    ),
]
Device = Annotated[
    str,
    AfterValidator(_device),
    WithJsonSchema({"type": "string", "pattern": f"^({_DEVICE.pattern})$"}),
]
Blame = Annotated[str, AfterValidator(_blame)]
