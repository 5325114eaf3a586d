"""The case format: these models are it, and `gradcheck schema` is made from them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, model_validator
from pydantic import Tag as _Tag
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from gradcheck.casefile.case import DType
from gradcheck.casefile.fields import (
    Blame,
    Device,
    Digits,
    Dimensions,
    Domain,
    FiniteNumbers,
    Formula,
    ImportedName,
    Numbers,
    Optional,
    Passes,
    Plain,
    Positive,
    Published,
    Resolution,
    Samples,
    Sizes,
    Tag,
    names_python,
    stands_alone,
)
from gradcheck.passes import Disabled


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Named(BaseModel):
    """Keys that the author of a file makes up, beside those that the format knows."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    @property
    def named(self) -> dict[str, Any]:
        """The values at the made-up keys, in the order of the file."""
        return self.model_extra or {}


# Tags of unions stand in parentheses, so that no name in a file can be one of them.
_Text = _Tag("(text)")
_List = _Tag("(list)")
_Mapping = _Tag("(mapping)")


def several(value: Any) -> list[Any]:
    """What may be written as one value or as a list, as a list; empty where it is left out."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _form(value: object) -> str | None:
    """What a value is written as; the unions below are told apart by it."""
    if isinstance(value, dict):
        return _Mapping.tag
    if isinstance(value, list):
        return _List.tag
    if isinstance(value, (str, Decimal)) or type(value) is int:
        return _Text.tag
    return None


def _one_of(expected: str) -> Discriminator:
    return Discriminator(_form, custom_error_type="expected", custom_error_message=expected)


class Sampled(_Strict):
    """An input that is drawn: `{shape: [m, n], sample: normal}`."""

    shape: Annotated[
        Dimensions,
        Field(
            description="Sizes of the dimensions, as numbers or named sizes.",
            examples=[[3], ["m", "n"]],
        ),
    ] = []
    sample: Annotated[
        str,
        Field(
            description="normal, uniform, uniform(a, b), positive, spd, orthogonal, integers(a, b)",
            examples=["normal", "uniform(-1, 1)"],
        ),
    ]


_VALUE = "a number, a list of numbers or {shape: …, sample: …}"
Constant = Annotated[
    Annotated[Numbers, _Text] | Annotated[Numbers, _List] | Annotated[Sampled, _Mapping],
    _one_of(_VALUE),
]
Input = Annotated[
    Annotated[FiniteNumbers, _Text]
    | Annotated[FiniteNumbers, _List]
    | Annotated[Sampled, _Mapping],
    _one_of(_VALUE),
]


class State(_Strict):
    """A value that a recurrence carries; in `next` every state is the value before the step."""

    start: Annotated[
        Formula, Field(description="The value before the first step.", examples=["h_0"])
    ]
    next: Annotated[Formula, Field(description="The value after a step.", examples=["w_h*h"])]


class Recurrence(_Strict):
    """States that are updated together, `steps` times."""

    steps: Annotated[
        Formula, Field(description="How many steps: a number or a size.", examples=[5, "n"])
    ]
    index: Annotated[
        Optional[str],
        Field(description="A name for the number of the step, from 0, as in x[t].", examples=["t"]),
    ] = None
    states: Annotated[
        dict[str, State],
        Field(
            min_length=1,
            description="What is carried from step to step.",
            examples=[{"h": {"start": "h_0", "next": "w_h*h"}}],
        ),
    ]


def _form_of_step(value: object) -> str | None:
    is_other_mapping = isinstance(value, dict) and not value.keys() & Recurrence.model_fields.keys()
    return None if is_other_mapping else _form(value)


Step = Annotated[
    Annotated[Formula, _Text] | Annotated[Recurrence, _Mapping],
    Discriminator(
        _form_of_step,
        custom_error_type="expected",
        custom_error_message="a formula (or, for `recurrence`, steps and states)",
    ),
]


class Imported(_Strict):
    """Something in a Python module: `{python: "mykernels.norm:rms_norm"}`."""

    python: Annotated[
        ImportedName,
        Field(
            description="What it is, as `module:name`. Its module is imported only where a run "
            "allows that.",
            examples=["mykernels.norm:RMSNorm"],
        ),
    ]

    @model_validator(mode="before")
    @classmethod
    def _stands_alone(cls, value: Any) -> Any:
        return stands_alone(value, tuple(PythonFunction.model_fields))


class PythonFunction(Imported):
    """A function in Python: a callable, an autograd.Function, a module or a custom operator."""

    arguments: Annotated[
        dict[str, Plain],
        Field(description="Further arguments of the function, by name.", examples=[{"eps": 1e-6}]),
    ] = {}
    init: Annotated[
        dict[str, Plain],
        Field(
            description="Arguments of the constructor of a module's class, by name.",
            examples=[{"normalized_shape": 8}],
        ),
    ] = {}


PYTHON = _Tag("(python)")


def _form_with_python(value: object) -> str | None:
    """The form, where a mapping may name something in Python."""
    return PYTHON.tag if names_python(value) else _form(value)


def _or_python(expected: str) -> Discriminator:
    return Discriminator(
        _form_with_python, custom_error_type="expected", custom_error_message=expected
    )


Steps = Annotated[dict[str, Step], Field(min_length=1), _Mapping]
Function = Annotated[
    Annotated[Formula, _Text] | Steps | Annotated[PythonFunction, PYTHON],
    _or_python("a formula, or steps `name: formula`"),
]
Reference = Annotated[
    Annotated[Formula, _Text] | Steps | Annotated[Imported, PYTHON],
    _or_python("a formula, or steps `name: formula`"),
]
Alternative = Annotated[
    Annotated[Formula, _Text] | Annotated[Imported, PYTHON], _or_python("a formula")
]
Derivative = Annotated[
    Annotated[Formula, _Text]
    | Annotated[list[Alternative], Field(min_length=1), _List]
    | Annotated[Imported, PYTHON],
    _or_python("a formula, or a list of alternative formulas"),
]


def _form_of_line(value: object) -> str | None:
    is_state = isinstance(value, dict) and value.keys() & State.model_fields.keys()
    return _State.tag if is_state else _form(value)


_State = _Tag("(state)")
SweptLine = Annotated[
    Annotated[Formula, _Text] | Annotated[State, _State],
    Discriminator(
        _form_of_line,
        custom_error_type="expected",
        custom_error_message="a formula, or {start: …, next: …}",
    ),
]
PassLine = Annotated[
    Annotated[Formula, _Text]
    | Annotated[list[Formula], Field(min_length=1), _List]
    | Annotated[dict[str, SweptLine], Field(min_length=1), _Mapping],
    _one_of("a formula, or a list of alternative formulas (or, for `recurrence`, lines)"),
]


def _form_of_pass(value: object) -> str:
    return PYTHON.tag if names_python(value) else _Mapping.tag


Pass = Annotated[
    Annotated[dict[str, PassLine], _Mapping] | Annotated[Imported, PYTHON],
    Discriminator(_form_of_pass),
]
Definition = Annotated[
    Annotated[Formula, _Text] | Annotated[dict[str, Formula], Field(min_length=1), _Mapping],
    _one_of("a formula, or steps `name: formula`"),
]


class Definitions(_Named):
    """Helpers that every case of the file, and later definitions, may use."""

    __pydantic_extra__: dict[
        str,
        Annotated[
            Definition,
            Field(
                description="A formula of the parameters, or steps `name: formula`.",
                examples=["(y - y_hat)**2"],
            ),
        ],
    ] = Field(init=False)


class Derivatives(_Named):
    """Derivatives by input name, or links `dA/dB` between any two values."""

    __pydantic_extra__: dict[
        str,
        Annotated[
            Derivative,
            Field(
                description="The derivative as a formula, or a list of alternatives, each of "
                "which must be right, or a function in Python.",
                examples=["2*x*cos(x**2)"],
            ),
        ],
    ] = Field(init=False)

    recurrence: Annotated[
        dict[str, State],
        Field(
            description="Derivatives of a recurrence's states, checked at every step.",
            examples=[{"dh/dw": {"start": 0, "next": "h + w*dh/dw"}}],
        ),
    ] = {}


class Expect(_Named):
    """Published numbers, kept as they were printed: `{out: -0.2879, x: -7.6613}`.

    `x.grad` is what backward passes leave there, a number or none.
    """

    __pydantic_extra__: dict[str, Published] = Field(init=False)

    of: Annotated[
        Literal["truth", "handwritten"],
        Field(
            description="What was published: the true value, or what the formula computes.",
            examples=["handwritten"],
        ),
    ] = "truth"
    dtype: Annotated[
        Optional[DType],
        Field(
            description="The dtype in which a `handwritten` value was computed.",
            examples=["float32"],
        ),
    ] = None


Expects = Annotated[
    Annotated[Expect, _Mapping] | Annotated[list[Expect], Field(min_length=1), _List],
    _one_of("a mapping of quantities to numbers, or a list of such mappings"),
]


class Point(_Strict):
    """One point: values of inputs, and what was published for them."""

    inputs: Annotated[
        dict[str, Input],
        Field(description="Values that take the place of the case's.", examples=[{"x": 3.0}]),
    ] = {}
    expect: Annotated[
        Optional[Expects],
        Field(description="Numbers published for this point.", examples=[{"x": -5.4668}]),
    ] = None
    cotangents: Annotated[
        dict[str, FiniteNumbers],
        Field(description="Published cotangents.", examples=[{"dz": [1, -2]}]),
    ] = {}
    samples: Annotated[
        Optional[Samples], Field(description="Draws of the sampled inputs.", examples=[3])
    ] = None


Texts = Annotated[
    Annotated[str, _Text] | Annotated[list[str], _List], _one_of("a text or a list of texts")
]


Tags = Annotated[
    Annotated[Tag, _Text] | Annotated[list[Tag], _List], _one_of("a text or a list of texts")
]


class Autograd(_Strict):
    """How torch is asked for gradients; `x.grad` is what is left there."""

    backward_passes: Annotated[
        Passes,
        Field(
            description="How often the function is run and backward called on it (1).",
            examples=[2],
        ),
    ] = 1
    zero_grad: Annotated[
        bool,
        Field(
            description="Whether gradients are zeroed between the passes (false).", examples=[True]
        ),
    ] = False
    disabled_by: Annotated[
        Optional[Disabled],
        Field(
            description="What switches tracking off, so that no gradient is there.",
            examples=["detach", "no_grad"],
        ),
    ] = None
    retain_grad: Annotated[
        Texts,
        Field(
            description="Steps whose gradient is kept, as by retain_grad().",
            examples=["y", ["y", "z"]],
        ),
    ] = []


class XFail(_Strict):
    """A failure that is known; only a `fail` with this blame meets it."""

    reason: Annotated[
        str,
        Field(min_length=1, description="Why the failure is known.", examples=["torch issue 1234"]),
    ]
    blame: Annotated[
        Blame,
        Field(
            description="Who is to blame, several joined by commas: handwritten, autograd, "
            "numeric, function, expected.",
            examples=["handwritten", "handwritten,autograd"],
        ),
    ]


class Known(_Strict):
    """Relative errors that are known, and why they are no mistake of this case."""

    handwritten: Annotated[
        Optional[Positive],
        Field(description="How far off what is written by hand may be.", examples=[1e-9]),
    ] = None
    autograd: Annotated[
        Optional[Positive], Field(description="How far off autograd may be.", examples=[2e-10])
    ] = None
    function: Annotated[
        Optional[Positive],
        Field(
            description="How far off a function in Python may be from its reference.",
            examples=[1e-6],
        ),
    ] = None
    reason: Annotated[
        str,
        Field(min_length=1, description="Why the error is known.", examples=["torch's trigamma"]),
    ]

    @model_validator(mode="after")
    def _is_of_somebody(self) -> Known:
        if not self.limits:
            message = "write whose error is known: `handwritten`, `autograd` or `function`"
            raise PydanticCustomError("refused", message)
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The relative errors by whose they are."""
        written = {
            "handwritten": self.handwritten,
            "autograd": self.autograd,
            "function": self.function,
        }
        return {name: limit for name, limit in written.items() if limit is not None}


DTypes = Annotated[
    Annotated[DType, _Text] | Annotated[list[DType], Field(min_length=1), _List],
    _one_of("a dtype or a list of dtypes"),
]
Devices = Annotated[
    Annotated[Device, _Text] | Annotated[list[Device], Field(min_length=1), _List],
    _one_of("a device or a list of devices"),
]


class Defaults(_Strict):
    """Settings of every case of the file that does not set them itself; tags add up."""

    tags: Annotated[
        Tags, Field(description="Labels to select cases by.", examples=["loss", ["loss", "slow"]])
    ] = []
    source: Annotated[
        Optional[str],
        Field(
            description="Where the derivation comes from.", examples=["the lecture notes, page 12"]
        ),
    ] = None
    dtypes: Annotated[
        Optional[DTypes],
        Field(description="The dtypes to check in (float64).", examples=["float32"]),
    ] = None
    devices: Annotated[
        Optional[Devices],
        Field(description="auto, cpu, cuda, cuda:1 or all (auto).", examples=["cpu"]),
    ] = None
    resolution: Annotated[
        Optional[Resolution],
        Field(description="The smallest relative error that must be noticed.", examples=[1e-6]),
    ] = None
    digits: Annotated[
        Optional[Digits],
        Field(
            description="Decimal digits that the evaluation must keep, where the dtype can.",
            examples=[6],
        ),
    ] = None
    samples: Annotated[
        Optional[Samples], Field(description="Draws of the sampled inputs (1).", examples=[3])
    ] = None
    timeout: Annotated[
        Optional[Positive],
        Field(
            description="Seconds that a case may take in a dtype on a device (300).", examples=[20]
        ),
    ] = None


class Case(Defaults):
    """A function, its inputs and its derivatives, as somebody wrote them by hand."""

    about: Annotated[
        Optional[str],
        Field(description="One line for the reader.", examples=["z = sin(y), y = x²"]),
    ] = None
    function: Annotated[
        Function,
        Field(
            description="A formula, whose value is called `out`, or ordered steps, or a function "
            "in Python.",
            examples=[
                "sin(x**2)",
                {"z": "w*x + b", "loss": "(y - z)**2"},
                {"python": "mykernels.norm:RMSNorm", "arguments": {"eps": 1e-6}},
            ],
        ),
    ]
    reference: Annotated[
        Optional[Reference],
        Field(
            description="What a function in Python must equal: a formula, steps, or another one.",
            examples=["x * rsqrt(mean(x**2))", {"python": "mykernels.slow:rms_norm"}],
        ),
    ] = None
    constants: Annotated[
        dict[str, Constant],
        Field(description="Given values that are not differentiated.", examples=[{"y": 1.0}]),
    ] = {}
    inputs: Annotated[
        dict[str, Input],
        Field(description="Values to differentiate by.", examples=[{"x": 3.0}]),
    ] = {}
    domain: Annotated[
        dict[str, Domain],
        Field(
            description="Where `gradcheck search` may look: an interval for an input, or for a "
            "constant, whose every entry lies in it.",
            examples=[{"x": [0, 1]}, {"x": "[0, inf)"}],
        ),
    ] = {}
    points: Annotated[
        Optional[Annotated[list[Point], Field(min_length=1)]],
        Field(
            description="Several points instead of one.",
            examples=[[{"inputs": {"x": 3.0}}, {"inputs": {"x": 4.0}}]],
        ),
    ] = None
    sizes: Annotated[
        dict[str, Sizes],
        Field(description="Named dimensions; a list makes one case for each.", examples=[{"n": 3}]),
    ] = {}
    derivatives: Annotated[
        Derivatives,
        Field(
            description="Derivatives by input name, or links `dA/dB` between any two values.",
            examples=[
                {"x": "2*x*cos(x**2)"},
                {"dloss/dw": "x.T @ d_mse(y, z)"},
                {"x": {"python": "mykernels.norm:d_x"}},
            ],
        ),
    ] = Derivatives()
    outputs: Annotated[
        Texts,
        Field(
            description="The steps that are outputs (the last one).",
            examples=[["h_next", "c_next"]],
        ),
    ] = []
    backward: Annotated[
        Pass,
        Field(
            description="Reverse mode: ordered lines that compute cotangents, `dz` of an output "
            "`z` being given. In `recurrence`, lines of a step, from the last step to the first. "
            "Or a function in Python that does.",
            examples=[
                {"dW": "outer(dz, x)", "dx": "W.T @ dz"},
                {"python": "mykernels.norm:rms_norm_backward"},
            ],
        ),
    ] = {}
    jvp: Annotated[
        Pass,
        Field(
            description="Forward mode: ordered lines that compute tangents, those of the inputs "
            "being given, or a function in Python that does.",
            examples=[
                {"dz": "W @ dx + dW @ x + db"},
                {"python": "mykernels.norm:rms_norm_jvp"},
            ],
        ),
    ] = {}
    cotangents: Annotated[
        dict[str, FiniteNumbers],
        Field(
            description="Published cotangents, for which `expect` holds what `backward` gives.",
            examples=[{"dz": [1, -2]}],
        ),
    ] = {}
    subgradient: Annotated[
        bool,
        Field(
            description="Whether, at a kink, any value between the one-sided derivatives is right.",
            examples=[True],
        ),
    ] = False
    conditions: Annotated[
        Optional[Texts],
        Field(
            description="What a function in Python must survive: all (the default), none, or a "
            "list of names of which `gradcheck conditions` tells; `-name` leaves one out.",
            examples=["none", ["all", "vmap", "-double_backward"]],
        ),
    ] = None
    rng: Annotated[
        Optional[Literal["fixed"]],
        Field(
            description="With `fixed`, each call of a function in Python starts from the same "
            "random state.",
            examples=["fixed"],
        ),
    ] = None
    forward_mode: Annotated[
        Optional[bool],
        Field(
            description="Whether torch's forward mode is looked at (where a function in Python "
            "has a jvp).",
            examples=[True],
        ),
    ] = None
    autograd: Annotated[
        Optional[Autograd],
        Field(
            description="How torch is asked for gradients, which are then checked as `x.grad`.",
            examples=[{"backward_passes": 2}, {"disabled_by": "detach"}],
        ),
    ] = None
    expect: Annotated[
        Optional[Expects], Field(description="Published numbers.", examples=[{"x": -5.4668}])
    ] = None
    skip: Annotated[
        Optional[Annotated[str, Field(min_length=1)]],
        Field(description="Why the case is not run.", examples=["too slow"]),
    ] = None
    xfail: Annotated[
        Optional[XFail],
        Field(
            description="A failure that is known.",
            examples=[{"reason": "torch issue 1234", "blame": "autograd"}],
        ),
    ] = None
    known: Annotated[
        Optional[Known],
        Field(
            description="Errors that are known, as relative ones, and that fail no run.",
            examples=[{"autograd": 2e-10, "reason": "torch's trigamma"}],
        ),
    ] = None


class Head(_Strict):
    """A file, its parts unread."""

    definitions: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    cases: Annotated[dict[str, Any], Field(min_length=1)]


class File(_Strict):
    """A case file: `*.grad.yaml`."""

    definitions: Annotated[
        Definitions,
        Field(
            description="Helpers that every case of the file may use.",
            examples=[{"mse(y, y_hat)": "(y - y_hat)**2"}],
        ),
    ] = Definitions()
    defaults: Annotated[
        Defaults, Field(description="Settings of all cases.", examples=[{"dtypes": "float32"}])
    ] = Defaults()
    cases: Annotated[
        dict[str, Case],
        Field(
            min_length=1,
            description="The cases, by unique name.",
            examples=[{"square": {"function": "x**2", "inputs": {"x": 3}}}],
        ),
    ]


class _Schema(GenerateJsonSchema):
    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """As it is: steps in an example are in order."""
        return value

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """`{python: …}` has the form of steps, too: an editor must not ask for one form alone."""
        union = super().tagged_union_schema(schema)
        return {"anyOf": union["oneOf"]} if "oneOf" in union else union

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A key that may be left out is not written as null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return {k: v for k, v in super().default_schema(schema).items() if k != "default"}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a case file."""
    schema = File.model_json_schema(schema_generator=_Schema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "gradcheck case file"
    return schema
