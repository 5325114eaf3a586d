"""The case format: these models are it, and `gradcheck schema` is made from them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Tag
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from gradcheck.casefile.case import DType


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _form(value: object) -> str | None:
    """What a value is written as; the unions below are told apart by it."""
    if isinstance(value, dict):
        return "mapping"
    if isinstance(value, list):
        return "list"
    if isinstance(value, (str, Decimal)) or type(value) is int:
        return "text"
    return None


def _one_of(message: str) -> Discriminator:
    return Discriminator(
        _form, custom_error_type="form", custom_error_message=f"expected {message}"
    )


def _numbers(value: object) -> object:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _numbers_in(item, (index,))
    else:
        _numbers_in(value, ())
    return value


def _numbers_in(value: object, path: tuple[int, ...]) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _numbers_in(item, (*path, index))
    elif type(value) is not int and not isinstance(value, Decimal):
        raise PydanticCustomError(
            "numbers", "expected a number or a list of numbers", {"path": path}
        )


_NUMBER_SCHEMA: dict[str, Any] = {"type": "number"}
_NUMBERS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "number"}, {"type": "array", "items": {}}],
    "description": "A number, or nested lists of numbers.",
}

Numbers = Annotated[Any, PlainValidator(_numbers), WithJsonSchema(_NUMBERS_SCHEMA)]
Number = Annotated[int | Decimal, WithJsonSchema(_NUMBER_SCHEMA)]
Formula = Annotated[
    str | int | Decimal,
    WithJsonSchema({"type": ["string", "number"], "description": "A formula."}),
]


class Sampled(_Strict):
    """An input that is drawn: `{shape: [m, n], sample: normal}`."""

    shape: Annotated[
        list[int | str], Field(description="Sizes of the dimensions, as numbers or named sizes.")
    ] = []
    sample: Annotated[
        str,
        Field(
            description="normal, uniform, uniform(a, b), positive, spd, orthogonal, integers(a, b)",
            examples=["normal", "uniform(-1, 1)"],
        ),
    ]


Value = Annotated[
    Annotated[Numbers, Tag("text")]
    | Annotated[Numbers, Tag("list")]
    | Annotated[Sampled, Tag("mapping")],
    _one_of("a number, a list of numbers or {shape: …, sample: …}"),
]


class State(_Strict):
    """A value that a recurrence carries; in `next` every state is the value before the step."""

    start: Annotated[Formula, Field(description="The value before the first step.")]
    next: Annotated[Formula, Field(description="The value after a step.", examples=["w_h*h"])]


class Recurrence(_Strict):
    """States that are updated together, `steps` times."""

    steps: Annotated[Formula, Field(description="How many steps: a number or a size.")]
    index: Annotated[
        str | None, Field(description="A name for the number of the step, from 0, as in x[t].")
    ] = None
    states: Annotated[dict[str, State], Field(min_length=1)]


Step = Annotated[
    Annotated[Formula, Tag("text")] | Annotated[Recurrence, Tag("mapping")],
    _one_of("a formula (or, for `recurrence`, steps and states)"),
]
Function = Annotated[
    Annotated[Formula, Tag("text")]
    | Annotated[dict[str, Step], Field(min_length=1), Tag("mapping")],
    _one_of("a formula, or steps `name: formula`"),
]
Derivative = Annotated[
    Annotated[Formula, Tag("text")]
    | Annotated[list[Formula], Field(min_length=1), Tag("list")]
    | Annotated[dict[str, State], Tag("mapping")],
    _one_of("a formula, or a list of alternative formulas"),
]
Definition = Annotated[
    Annotated[Formula, Tag("text")]
    | Annotated[dict[str, Formula], Field(min_length=1), Tag("mapping")],
    _one_of("a formula, or steps `name: formula`"),
]


class Expect(BaseModel):
    """Published numbers, kept as they were printed: `{out: -0.2879, x: -7.6613}`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Numbers] = Field(init=False)

    of: Annotated[
        Literal["truth", "handwritten"],
        Field(description="What was published: the true value, or what the formula computes."),
    ] = "truth"
    dtype: Annotated[
        DType | None, Field(description="The dtype in which a `handwritten` value was computed.")
    ] = None


Expects = Annotated[
    Annotated[Expect, Tag("mapping")] | Annotated[list[Expect], Tag("list")],
    _one_of("a mapping of quantities to numbers, or a list of such mappings"),
]


class Point(_Strict):
    """One point: values of inputs, and what was published for them."""

    inputs: dict[str, Value] = {}
    expect: Expects | None = None
    samples: Annotated[int | None, Field(ge=1, le=1000)] = None


class XFail(_Strict):
    """A failure that is known; only a `fail` with this blame meets it."""

    reason: str
    blame: Annotated[str, Field(examples=["handwritten", "autograd", "function", "expected"])]


Texts = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[str], Tag("list")],
    _one_of("a text or a list of texts"),
]
DTypes = Annotated[
    Annotated[DType, Tag("text")] | Annotated[list[DType], Field(min_length=1), Tag("list")],
    _one_of("a dtype or a list of dtypes"),
]


class Defaults(_Strict):
    """Settings of every case of the file that does not set them itself; tags add up."""

    tags: Annotated[Texts, Field(description="Labels to select cases by.")] = []
    source: Annotated[str | None, Field(description="Where the derivation comes from.")] = None
    dtypes: Annotated[
        DTypes | None, Field(description="The dtypes to check in (float64).", examples=["float32"])
    ] = None
    devices: Annotated[
        Texts | None,
        Field(description="auto, cpu, cuda, cuda:1 or all (auto).", examples=["cpu"]),
    ] = None
    resolution: Annotated[
        Number | None,
        Field(gt=0, description="The smallest relative error that must be noticed."),
    ] = None
    samples: Annotated[
        int | None, Field(ge=1, le=1000, description="Draws of the sampled inputs (1).")
    ] = None


class Case(Defaults):
    """A function, its inputs and its derivatives, as somebody wrote them by hand."""

    about: Annotated[str | None, Field(description="One line for the reader.")] = None
    function: Annotated[
        Function,
        Field(
            description="A formula, whose value is called `out`, or ordered steps.",
            examples=["sin(x**2)", {"z": "w*x + b", "loss": "(y - z)**2"}],
        ),
    ]
    constants: Annotated[
        dict[str, Value], Field(description="Given values that are not differentiated.")
    ] = {}
    inputs: Annotated[
        dict[str, Value],
        Field(description="Values to differentiate by.", examples=[{"x": 3.0}]),
    ] = {}
    points: Annotated[
        list[Point] | None, Field(min_length=1, description="Several points instead of one.")
    ] = None
    sizes: Annotated[
        dict[str, int | list[int]],
        Field(description="Named dimensions; a list makes one case for each.", examples=[{"n": 3}]),
    ] = {}
    derivatives: Annotated[
        dict[str, Derivative],
        Field(
            description="Derivatives by input name, or links `dA/dB` between any two values.",
            examples=[{"x": "2*x*cos(x**2)"}, {"dloss/dw": "x.T @ d_mse(y, z)"}],
        ),
    ] = {}
    expect: Annotated[Expects | None, Field(description="Published numbers.")] = None
    skip: Annotated[str | None, Field(description="Why the case is not run.")] = None
    xfail: XFail | None = None


class Head(_Strict):
    """A file, its cases unread."""

    definitions: dict[str, Definition] = {}
    defaults: Defaults = Defaults()
    cases: dict[str, Any]


class File(Head):
    """A case file: `*.grad.yaml`."""

    definitions: Annotated[
        dict[str, Definition],
        Field(
            description="Helpers that every case of the file may use.",
            examples=[{"mse(y, y_hat)": "(y - y_hat)**2"}],
        ),
    ] = {}
    defaults: Annotated[Defaults, Field(description="Settings of all cases.")] = Defaults()
    cases: Annotated[dict[str, Case], Field(description="The cases, by unique name.")]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a case file."""
    schema = File.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "gradcheck case file"
    return schema
