"""The JSON Schema that editors complete and check case files with."""

import json

import pytest
from pydantic import BaseModel

from gradcheck.casefile import models
from gradcheck.casefile.fields import BLAMES

SCHEMA = models.json_schema()

# What the schema is made of: keyword → whether its value is right.
KEYWORDS = {
    "type": lambda value: {value} if isinstance(value, str) else {*value},
    "title": str,
    "description": str,
    "pattern": str,
    "$ref": str,
    "$schema": str,
    "enum": list,
    "const": object,
    "required": list,
    "examples": list,
    "minimum": int,
    "maximum": int,
    "exclusiveMinimum": int,
    "minItems": int,
    "maxItems": int,
    "minLength": int,
    "minProperties": int,
    "uniqueItems": bool,
    "default": object,
}
TYPES = {"object", "array", "string", "number", "integer", "boolean"}
OF_TYPE = {
    "minItems": "array",
    "maxItems": "array",
    "uniqueItems": "array",
    "items": "array",
    "minLength": "string",
    "pattern": "string",
    "minProperties": "object",
    "properties": "object",
    "additionalProperties": "object",
    "required": "object",
}


def schemas(schema=SCHEMA, path="#"):
    """Every schema inside of the schema, with its path."""
    yield path, schema
    for key in ("properties", "$defs"):
        for name, inner in schema.get(key, {}).items():
            yield from schemas(inner, f"{path}/{key}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas(schema[key], f"{path}/{key}")
    for index, inner in enumerate(schema.get("anyOf", [])):
        yield from schemas(inner, f"{path}/anyOf/{index}")


ALL = dict(schemas())


def resolved(reference):
    assert reference.startswith("#/")
    found = SCHEMA
    for step in reference.split("/")[1:]:
        found = found[step]
    return found


@pytest.mark.parametrize("path", ALL)
def test_every_schema_is_well_formed(path):
    schema = ALL[path]
    nested = {"properties", "$defs", "items", "additionalProperties", "anyOf"}
    assert {*schema} <= {*KEYWORDS} | nested
    types = schema.get("type", [])
    types = {types} if isinstance(types, str) else {*types}
    assert types <= TYPES
    for keyword in {*schema} & {*OF_TYPE}:
        assert OF_TYPE[keyword] in types
    for keyword in {*schema} - nested - {"type"}:
        assert isinstance(schema[keyword], KEYWORDS[keyword])
    if "$ref" in schema:
        assert resolved(schema["$ref"])["type"] == "object"
    assert {*schema.get("required", [])} <= {*schema.get("properties", {})}


@pytest.mark.parametrize("path", [path for path in ALL if path.split("/")[-2:-1] == ["properties"]])
def test_every_key_has_a_description_and_an_example(path):
    schema = {**(resolved(ALL[path]["$ref"]) if "$ref" in ALL[path] else {}), **ALL[path]}
    assert len(schema["description"]) > 10
    assert schema["examples"]


def test_the_steps_of_an_example_are_in_order():
    (steps,) = [
        one
        for one in SCHEMA["$defs"]["Case"]["properties"]["function"]["examples"]
        if "loss" in one
    ]
    assert [*steps] == ["z", "loss"]


def test_no_value_has_to_be_of_one_form_alone():
    """`{python: …}` is steps, too, by its form: an editor would refuse it."""
    assert "oneOf" not in json.dumps(SCHEMA)


def test_the_schema_is_one_of_the_latest_draft_and_plain_data():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "gradcheck case file"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_what_a_file_and_a_case_are_made_of():
    assert {*SCHEMA["properties"]} == {"definitions", "defaults", "cases"}
    assert SCHEMA["required"] == ["cases"]
    case = SCHEMA["$defs"]["Case"]
    assert {*case["properties"]} == {*models.Case.model_fields}
    assert case["required"] == ["function"]


def test_unknown_keys_are_refused_except_where_the_author_names_them():
    closed = {name for name, one in SCHEMA["$defs"].items() if one["additionalProperties"] is False}
    assert {*SCHEMA["$defs"]} - closed == {"Definitions", "Derivatives", "Expect"}
    assert SCHEMA["additionalProperties"] is False


def test_nothing_may_be_null():
    assert "null" not in json.dumps(SCHEMA)


def test_every_blame_is_described():
    described = SCHEMA["$defs"]["XFail"]["properties"]["blame"]["description"]
    assert all(blame in described for blame in BLAMES)


MODELS = [
    one
    for one in vars(models).values()
    if isinstance(one, type) and issubclass(one, BaseModel) and one is not models.Head
]
REQUIRED = {
    models.Sampled: {"sample": "normal"},
    models.State: {"start": 0, "next": "h"},
    models.Recurrence: {"steps": 2, "states": {"h": {"start": 0, "next": "h"}}},
    models.PythonFunction: {"python": "mykernels.norm:RMSNorm"},
    models.XFail: {"reason": "known", "blame": "autograd"},
    models.Known: {"autograd": 1, "reason": "known"},
    models.Case: {"function": "x"},
    models.File: {"cases": {"a": {"function": "x"}}},
}


@pytest.mark.parametrize(
    ("model", "field"),
    [(model, name) for model in MODELS for name in model.model_fields],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_examples_are_valid(model, field):
    for example in model.model_fields[field].examples:
        model.model_validate({**REQUIRED.get(model, {}), field: _decimals(example)})


@pytest.mark.parametrize("model", ["Definitions", "Derivatives", "Expect"])
def test_examples_of_what_the_author_names_are_valid(model):
    named = SCHEMA["$defs"][model]["additionalProperties"]
    assert len(named["description"]) > 10
    for example in named["examples"]:
        getattr(models, model).model_validate({"made_up": _decimals(example)})


def _decimals(example):
    """Numbers with a point are Decimals in case files."""
    from decimal import Decimal

    if isinstance(example, dict):
        return {key: _decimals(value) for key, value in example.items()}
    if isinstance(example, list):
        return [_decimals(value) for value in example]
    return Decimal(str(example)) if isinstance(example, float) else example
