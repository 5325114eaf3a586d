"""Why torch's derivative of a Python function is wrong: where its path is cut, or who wrote it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

from gradcheck.frames import is_the_users
from gradcheck.oracles.autograd import Graph
from gradcheck.python_function import PythonFunction
from gradcheck.results import Diagnosis
from gradcheck.sparse import dense

MOST_NODES: Final = 10_000
"""Of a recorded graph that are looked at."""
MOST_CUTS: Final = 16
_ROUNDING: Final = frozenset(
    (
        *("round", "round_", "floor", "floor_", "ceil", "ceil_", "trunc", "trunc_", "fix", "sign"),
        *("long", "int", "short", "char", "byte", "bool", "floor_divide", "__floordiv__"),
        *("remainder", "__mod__", "fmod", "frac", "frac_"),
    )
)
_CASTS: Final = ("to", "type", "view")
_SHARING: Final = ("detach", "data", "numpy", "__array__")
"""What gives the same numbers outside of the graph."""
_TO_NUMBERS: Final = frozenset(("item", "tolist", "numpy", "__float__", "__int__", "__array__"))

IsRight = Callable[[Graph], bool]
"""Whether what a graph gives is the right derivative."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call of torch's that a derivative does not pass, or that changes a value in place."""

    number: int
    name: str
    kind: str
    where: str


def diagnose_autograd(function: PythonFunction, is_right: IsRight) -> Iterator[Diagnosis]:
    """What cuts the derivative's path, with the step; a backward that somebody wrote."""
    steps, changed = _watched(function)
    if changed is not None:
        yield _through(changed, steps)
        return
    cut = [step for step in steps if step.kind in ("detached", "rounding_step")]
    told = _undone(function, cut[:MOST_CUTS], is_right)
    names = custom_backwards(function.graph)
    if told is not None:
        yield told
        return
    if names:
        listed = " or ".join(f"`{name}`" for name in names)
        yield Diagnosis("custom_backward", f"the backward of {listed} is wrong")
    in_place = next((step for step in steps if step.kind == "in_place"), None)
    if in_place is not None:
        text = f"`{in_place.name}` changes a value in place that the derivative needs"
        yield Diagnosis("in_place", f"{text}, {in_place.where}")
    numbers = next((step for step in cut if step.name in _TO_NUMBERS), None)
    if numbers is not None:
        text = f"`{numbers.name}` makes a number of a tensor, {numbers.where}: no derivative passes"
        yield Diagnosis("detached", text)
    elif cut and not names and in_place is None:
        does = "rounds" if cut[0].kind == "rounding_step" else "cuts the derivative's path"
        yield Diagnosis(cut[0].kind, f"`{cut[0].name}` {does}, {cut[0].where}")


def _through(shared: Step, steps: list[Step]) -> Diagnosis:
    """What is changed in place through other means than the graph's."""
    change = next((one for one in steps if _goes_through(one, shared)), None)
    if change is None:
        text = f"what `{shared.name}` gives is changed in place, and so what it is taken of"
        return Diagnosis("in_place", f"{text}, {shared.where}: the derivative needs that")
    text = f"`{change.name}` changes a value in place through `{shared.name}`, {change.where}"
    return Diagnosis("in_place", f"{text}: the derivative needs that")


def custom_backwards(graph: Graph) -> list[str]:
    """The autograd.Functions in a graph, by name."""
    found: dict[str, None] = {}
    seen: set[Any] = set()
    left: list[Any] = [output.grad_fn for output in graph.outputs]
    while left and len(seen) < MOST_NODES:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            found[type(node).__name__.removesuffix("Backward")] = None
        left += [after for after, _ in node.next_functions]
    return list(found)


def _watched(function: PythonFunction) -> tuple[list[Step], Step | None]:
    """What one evaluation does that a derivative may not pass; what it changes beside the graph."""
    watch = _Watch()
    try:
        with watch:
            function.tracked()
    except Exception:  # it was evaluated before: what raises here is of no use
        return [], None
    return watch.steps, watch.changed


def _undone(function: PythonFunction, cut: list[Step], is_right: IsRight) -> Diagnosis | None:
    """The step without which the derivative is right; all of them, where no single one will do."""
    for steps in (*([step] for step in cut), *([cut] if len(cut) > 1 else [])):
        try:
            with _Undo({step.number for step in steps}):
                graph = function.tracked()
            if not is_right(graph):
                continue
        except Exception:  # what cannot be undone tells nothing
            continue
        rounding = next((step for step in cut if step.kind == "rounding_step"), None)
        step = rounding or steps[0]
        does = "rounds" if rounding else "cuts the derivative's path"
        return Diagnosis(
            step.kind, f"`{step.name}` {does}, {step.where}: without it torch is right"
        )
    return None


def _goes_through(change: Step, step: Step) -> bool:
    """Whether a change in place is that of what the step before it gave."""
    return change.kind in ("in_place", "beside") and change.number == step.number + 1


class _Watch(TorchFunctionMode):
    """Notes calls whose result torch does not track though an argument is, and those in place."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._shared: list[tuple[Step, Any, Any]] = []
        self._count = 0

    @property
    def changed(self) -> Step | None:
        """The first that gave numbers which are others by now."""
        for step, numbers, before in self._shared:
            if not ((_dense(numbers) == before) | (before != before)).all():
                return step
        return None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        number, self._count = self._count, self._count + 1
        name = _name(func)
        was_tracked = _is_tracked((args, kwargs))
        result = func(*args, **(kwargs or {}))
        if kind := _kind(name, was_tracked, args, kwargs or {}, result):
            self.steps.append(Step(number, _spelled(name), kind, _where()))
        if name in _SHARING:
            step = Step(number, name, "in_place", _where())
            before = _dense(result)
            before = before.clone() if isinstance(before, Tensor) else np.array(before)
            self._shared.append((step, result, before))
        return result


def _kind(name: str, was_tracked: bool, args: Any, kwargs: Any, result: Any) -> str:
    """What a call does to the derivative; empty where it does nothing to it."""
    if was_tracked and (name in _ROUNDING or kwargs.get("rounding_mode") is not None):
        return "rounding_step"
    is_in_place = name.endswith("_") and not name.endswith("__")
    if is_in_place or name in ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__"):
        if name.endswith("requires_grad_"):
            return ""
        if not was_tracked:
            return "beside"
        is_cut = not torch.is_grad_enabled() and not _is_tracked(args[:1])
        return "detached" if is_cut else "in_place"
    if not was_tracked:
        return ""
    if name in _TO_NUMBERS:
        return "detached"
    leaves = [leaf for leaf in _pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
    if name in _CASTS and leaves and not leaves[0].is_floating_point():
        return "rounding_step"
    is_cut = bool(leaves) and all(
        leaf.is_floating_point() and not leaf.requires_grad for leaf in leaves
    )
    return "detached" if is_cut else ""


class _Undo(TorchFunctionMode):
    """Some calls, by number, give what they are given, and torch tracks all."""

    def __init__(self, numbers: set[int]) -> None:
        super().__init__()
        self._numbers = numbers
        self._count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        number, self._count = self._count, self._count + 1
        if number not in self._numbers:
            return func(*args, **(kwargs or {}))
        name = _name(func)
        if name in _ROUNDING or name in _CASTS or name in ("detach", "detach_", "data"):
            return args[0]
        with torch.enable_grad():
            return func(*args, **(kwargs or {}))


def _dense(numbers: Any) -> Any:
    """A tensor of any layout as one that can be compared; numpy's arrays as they are."""
    return dense(numbers) if isinstance(numbers, Tensor) else numbers


def _name(func: Any) -> str:
    """`detach`, or `data` of the property."""
    name = str(getattr(func, "__name__", ""))
    return str(func.__self__.__name__) if name == "__get__" else name


def _spelled(name: str) -> str:
    return "[…] = …" if name == "__setitem__" else name


def _is_tracked(arguments: Any) -> bool:
    return any(
        isinstance(leaf, Tensor) and leaf.requires_grad for leaf in _pytree.tree_leaves(arguments)
    )


def _where() -> str:
    """The user's line that is being run: `in model.py, line 12`."""
    for frame in reversed(traceback.extract_stack()):
        if is_the_users(frame.filename):
            return f"in {Path(frame.filename).name}, line {frame.lineno}"
    return "in the function"
