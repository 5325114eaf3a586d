"""pydantic's errors → problems at their place in the file, in words for the person who wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.problems import Problem
from gradcheck.language.parser import suggestion


def problems(
    error: ValidationError, model: type[BaseModel], document: Document, root: Path
) -> list[Problem]:
    """One problem for each error of `model`'s validation of what stands at `root`."""
    errors = error.errors(include_url=False)
    unknown = {(one["loc"][:-1], _meant(model, one["loc"])) for one in errors if _is_unknown(one)}
    return [
        _problem(one, model, document, root)
        for one in errors
        # `sampl` for `sample` is one mistake, not an unknown key and a missing one.
        if not (one["type"] == "missing" and (one["loc"][:-1], one["loc"][-1]) in unknown)
    ]


def _is_unknown(error: Any) -> bool:  # noqa: ANN401
    return bool(error["type"] == "extra_forbidden")


def _meant(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    close = suggestion(str(loc[-1]), _known_keys(model, loc[:-1]))
    return close.partition("`")[2].rstrip("`?")


def _problem(error: Any, model: type[BaseModel], document: Document, root: Path) -> Problem:  # noqa: ANN401
    loc = error["loc"]
    path = _path(document, root, (*loc, *error.get("ctx", {}).get("path", ())))
    if _is_unknown(error):
        known = list(_known_keys(model, loc[:-1]))
        close = suggestion(str(loc[-1]), known) or f": known are {', '.join(sorted(known))}"
        return document.problem(path, f"unknown key `{loc[-1]}`{close}", key=True)
    if error["type"] == "missing":
        return document.problem(path, f"`{loc[-1]}` is missing", key=True)
    return document.problem(path, _message(error))


def _message(error: Any) -> str:  # noqa: ANN401
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "literal_error":
        known = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"`{given}` is none of {', '.join(known)}{suggestion(str(given), known)}"
    if kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        sign, bound = next(iter(_bound(context)))
        return f"{given} has to be {sign} {bound}"
    if kind == "too_short":
        return "this is empty"
    expected = _EXPECTED.get(kind)
    if expected is not None:
        return f"expected {expected}, found {_described(given)}"
    return str(error["msg"])


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "is_instance_of": "a number",
    "decimal_type": "a number",
    "int_from_float": "a whole number",
}


def _bound(context: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, words in (("gt", "more than"), ("ge", "at least"), ("le", "at most")):
        if name in context:
            yield words, context[name]


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"`{value}`"


def _path(document: Document, root: Path, loc: tuple[int | str, ...]) -> Path:
    """The path in the file; what pydantic puts in between (the form of a union) is left out."""
    path, data = list(root), document.data
    for step in root:
        data = data[step]
    for step in loc:
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """The keys that the mapping at `loc` may have."""
    models = [model]
    for step in loc:
        inside: list[type[BaseModel]] = []
        for candidate in models:
            field = candidate.model_fields.get(str(step))
            if field is not None:
                inside += _models_in(field.annotation)
        models = inside or models
    return {name for candidate in models for name in candidate.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
