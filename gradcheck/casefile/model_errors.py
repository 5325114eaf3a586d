"""pydantic's errors → problems at their place in the file, in words for the person who wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gradcheck.casefile.document import Document, Path
from gradcheck.casefile.models import PYTHON, Case, Imported, State
from gradcheck.casefile.problems import Problem
from gradcheck.language.spelling import suggestion

Location = tuple[int | str, ...]
"""Where pydantic found an error: a path, with the tags of unions in between."""

_EXPECTED: Final = {
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_FORMULAS: Final = ("derivatives", "backward", "jvp")
"""Keys of a case under which formulas are written by hand."""
_MEANT: Final = {"gpu": "cuda", "float": "float32", "double": "float64", "half": "float16"}
"""What people write for one of a few choices that is not spelled alike."""


def problems(
    error: ValidationError, model: type[BaseModel], document: Document, root: Path
) -> list[Problem]:
    """One problem for each mistake that `model` found in what stands at `root`."""
    errors = _Errors(model, document, root)
    return [errors.problem(one) for one in errors.told(error.errors(include_url=False))]


def unknown_keys(error: ValidationError) -> set[str]:
    """The keys of the value itself that its model does not know."""
    return {
        str(one["loc"][0]) for one in error.errors() if _is_unknown(one) and len(one["loc"]) == 1
    }


def meant(key: str, known: Iterable[str]) -> str:
    """The known key that an unknown one is spelled like; empty if there is none."""
    return suggestion(key, known).partition("`")[2].rstrip("`?")


def _is_unknown(error: Any) -> bool:
    return bool(error["type"] == "extra_forbidden")


class _Errors:
    """Words for the errors of one model's validation."""

    def __init__(self, model: type[BaseModel], document: Document, root: Path) -> None:
        self.model = model
        self.document = document
        self.root = root

    def told(self, errors: list[Any]) -> list[Any]:
        """The errors without those that follow from others.

        `sampl` for `sample` is one mistake, not an unknown key and a missing one; and where no key
        of a mapping is known, something else was meant altogether.
        """
        unknown: dict[Location, list[str]] = {}
        for one in errors:
            if _is_unknown(one):
                unknown.setdefault(one["loc"][:-1], []).append(str(one["loc"][-1]))
        return [
            one
            for one in errors
            if not (one["type"] == "missing" and self._follows(one, unknown.get(one["loc"][:-1])))
        ]

    def _follows(self, missing: Any, unknown: list[str] | None) -> bool:
        if unknown is None:
            return False
        loc = missing["loc"]
        known = self._known_keys(loc[:-1])
        return len(unknown) == len(missing["input"]) or any(
            meant(key, known) == loc[-1] for key in unknown
        )

    def problem(self, error: Any) -> Problem:
        loc = error["loc"]
        path = self._path((*loc, *error.get("ctx", {}).get("path", ())))
        if _is_unknown(error):
            return self.document.problem(path, self._unknown_key(loc), key=True)
        if error["type"] == "missing":
            return self.document.problem(path, f"`{loc[-1]}` is missing", key=True)
        is_key = error.get("ctx", {}).get("is_key", False)
        return self.document.problem(path, self._message(error, path), key=is_key)

    def _unknown_key(self, loc: Location) -> str:
        key = str(loc[-1])
        if self.model is Case and loc in (("arguments",), ("init",)):
            return f"`{key}` belongs inside of `function: {{python: …, {key}: …}}`"
        known = self._known_keys(loc[:-1])
        close = suggestion(key, known) or f": known are {', '.join(sorted(known))}"
        return f"unknown key `{key}`{close}"

    def _message(self, error: Any, path: Path) -> str:
        kind, context = error["type"], error.get("ctx", {})
        if kind == "refused":
            return str(error["msg"])
        if kind == "unfilled":
            return f"`{path[-1]}` has no value: fill it in, or leave the key out"
        if kind in ("too_short", "string_too_short"):
            return f"`{path[-1]}` is empty"
        if kind == "literal_error":
            known = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return _none_of(self._shown(error["input"], path), known)
        if kind == "choice":
            return _none_of(context["given"], context["known"])
        if kind == "expected" and error["input"] is None and path[-2] in _FORMULAS:
            return f"`{path[-1]}` is left to write: its formula stands here"
        if kind == "expected" and path[-2] == "derivatives" and _is_carried(error["input"]):
            return "what is computed at every step belongs in `recurrence: {dh/dw: {start, next}}`"
        expected = error["msg"] if kind == "expected" else self._expected(error)
        return f"expected {expected}, found {self._found(error['input'], context, path)}"

    def _expected(self, error: Any) -> str:
        expected = _EXPECTED.get(error["type"], "something else")
        if error["type"] == "model_type":
            needed = [
                f"`{name}`"
                for model in self._models(error["loc"])
                for name, field in model.model_fields.items()
                if field.is_required()
            ]
            if needed:
                return f"{expected} with {' and '.join(needed)}"
        field = self._field(error["loc"])
        is_plain = expected in ("a text", "true or false")  # which needs no example
        if field is not None and field.examples and not is_plain:
            return f"{expected} such as {_flow(field.examples[0])}"
        return expected

    def _found(self, given: Any, context: dict[str, Any], path: Path) -> str:
        for step in context.get("path", ()):
            given = given[step]
        if given is None:
            return "nothing"
        if isinstance(given, (dict, list)):
            kind = "a mapping" if isinstance(given, dict) else "a list"
            return kind if given else f"an empty {kind[2:]}"
        return f"`{self._shown(given, path)}`"

    def _shown(self, given: Any, path: Path) -> str:
        """A scalar as it is written in the file."""
        text = self.document.text(path) or str(given)
        return text if len(text) <= 60 else f"{text[:60]}…"

    def _path(self, loc: Location) -> Path:
        """The path in the file; the tags of unions are left out."""
        path: list[str | int] = list(self.root)
        data = self.document.data
        for step in self.root:
            data = data[step]
        for step in loc:
            if step in (data if isinstance(data, dict) else range(_length(data))):
                data = data[step]
                path.append(step)
        return tuple(path)

    def _known_keys(self, loc: Location) -> set[str]:
        """The keys that the mapping at `loc` may have."""
        return {name for model in self._models(loc) for name in model.model_fields}

    def _models(self, loc: Location) -> list[type[BaseModel]]:
        """The models that the value at `loc` may be of."""
        models = [self.model]
        for step in loc:
            if step == PYTHON.tag:
                named = [model for model in models if "python" in model.model_fields]
                models = named or [Imported]
            elif str(step).startswith("("):
                models = [model for model in models if "python" not in model.model_fields]
            fields = [model.model_fields.get(str(step)) for model in models]
            inside = [m for field in fields if field for m in _models_in(field.annotation)]
            models = inside or models
        return models

    def _field(self, loc: Location) -> FieldInfo | None:
        """The field whose value stands at `loc`, if it is one."""
        loc = tuple(step for step in loc if not str(step).startswith("("))
        models = self._models(loc[:-1]) if loc else []
        fields = (model.model_fields.get(str(loc[-1])) for model in models)
        return next((field for field in fields if field is not None), None)


def _is_carried(given: Any) -> bool:
    """Whether it is written as a recurrence's state, or a state's derivative."""
    return isinstance(given, dict) and {*given} == {*State.model_fields}


def _length(data: Any) -> int:
    return len(data) if isinstance(data, list) else 0


def _none_of(given: str, known: Iterable[str]) -> str:
    listed = list(known)
    close = f": did you mean `{_MEANT[given]}`?" if _MEANT.get(given) in listed else ""
    return f"`{given}` is none of {', '.join(listed)}{close or suggestion(given, listed)}"


def _flow(example: Any) -> str:
    """An example as it is written on one line."""
    if isinstance(example, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in example.items()) + "}"
    if isinstance(example, list):
        return "[" + ", ".join(map(_flow, example)) + "]"
    return str(example)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
