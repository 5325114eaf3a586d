"""A case's Python function: its parts are imported, it is called at a place, and judged."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck.beside import Beside
from gradcheck.callables import called, has_jvp
from gradcheck.casefile.kernel import Derivative as Written
from gradcheck.casefile.kernel import Import, Kernel
from gradcheck.casefile.names import spelled
from gradcheck.conclusion import Fields
from gradcheck.errors import GradcheckError, UsageError
from gradcheck.frames import account_of
from gradcheck.imports import Imports
from gradcheck.language.expression import Expression
from gradcheck.leaves import widened
from gradcheck.place import CPU, TORCH_DTYPE, Place
from gradcheck.plan import Plan, judge_plan
from gradcheck.python_function import PythonFunction
from gradcheck.reference import Reference
from gradcheck.references import formula_reference, refuse_class
from gradcheck.settings import Settings
from gradcheck.torch_meaning import TorchMeaning
from gradcheck.user_code import takes
from gradcheck.written import Derivative


def judge_kernel(place: Place, imports: Imports) -> Iterator[Fields]:
    """The verdicts on a case's Python function; what its code raises is one of them.

    Raises:
        GradcheckError: It cannot be imported, or what the case says of it cannot be meant.
    """
    yield from _Check(place, imports).results()


def planned(place: Place, imports: Imports) -> tuple[PythonFunction, Plan]:
    """A case's Python function, and how it is checked.

    Raises:
        GradcheckError: It cannot be imported, or what the case says of it cannot be meant.
        Exception: What the function raises.
    """
    return _Check(place, imports).planned()


@dataclass(frozen=True, slots=True, eq=False)
class FormulaOfValues:
    """A formula of a case's values and of its function's output `out`: a derivative of that."""

    expression: Expression
    place: Place
    out: Tensor

    def __call__(self) -> Any:
        place = self.place
        scope = {**place.environment, "out": self.out}
        meaning = TorchMeaning(TORCH_DTYPE[place.dtype], place.device)
        return meaning.tensor(self.expression.evaluate(scope, meaning))


class _Check:
    def __init__(self, place: Place, imports: Imports) -> None:
        kernel = place.case.kernel
        assert kernel is not None
        self.place = place
        self.kernel: Kernel = kernel
        self.imports = imports

    def results(self) -> Iterator[Fields]:
        try:
            at = self._at(self.place.device)()
        except GradcheckError:
            raise
        except Exception as error:
            yield {"verdict": "error", "blame": "function", "notes": (account_of(error),)}
            return
        for fields in judge_plan(at, self._plan(at)):
            yield {**fields, "line": fields.get("line") or self.kernel.function.line}

    def planned(self) -> tuple[PythonFunction, Plan]:
        at = self._at(self.place.device)()
        return at, self._plan(at)

    def _at(self, device: torch.device) -> Callable[[], PythonFunction]:
        """What makes the function at the place, but on a device."""
        function, values = self._function(device), self._values(device)
        if isinstance(function, nn.Module):
            values = _installed(function, values)
        given, names = self._arguments(function, values)
        return partial(PythonFunction, function, given, names=names, seeded=self.kernel.is_seeded)

    def _function(self, device: torch.device) -> Callable[..., Any]:
        """What is called: a module's class is made, with what is random in it seeded."""
        found = self.imports.load(self.kernel.function)
        if isinstance(found, type) and issubclass(found, nn.Module):
            found = self._made(found)
        elif self.kernel.init:
            raise UsageError("`init` is for the class of a module")
        if isinstance(found, nn.Module):
            return copy.deepcopy(found).to(device, TORCH_DTYPE[self.place.dtype])
        return called(found)

    def _made(self, owner: type[nn.Module]) -> nn.Module:
        with torch.random.fork_rng([]):
            # Not that of CUDA, which torch.manual_seed sets too: a module is made on the CPU.
            torch.default_generator.manual_seed(zlib.crc32(self.place.case.name.encode()))
            return owner(**self.kernel.init)

    def _values(self, device: torch.device) -> dict[str, Any]:
        """The inputs and constants by name; constants require no gradient."""
        case, environment = self.place.case, self.place.environment
        values = {name: environment[name].detach().to(device) for name in case.function.given}
        for name in case.inputs:
            value = values[name]
            values[name] = value.requires_grad_(value.is_floating_point() or value.is_complex())
        return values

    def _arguments(
        self, function: Callable[..., Any], values: Mapping[str, Any]
    ) -> tuple[Any, Sequence[str] | None]:
        """By name where the function's parameters have those, else in the order written."""
        parameters = takes(function)
        given = {**values, **self.kernel.arguments}
        if parameters is None:
            return tuple(given.values()), list(given)
        if problem := parameters.problem(given):
            raise UsageError(f"`{self.kernel.function}` {problem}")
        if parameters.are_keywords:
            return given, None
        names = [name for name in parameters.names if name in given]
        return tuple(given[name] for name in names), names

    def _plan(self, at: PythonFunction) -> Plan:
        case, kernel = self.place.case, self.kernel
        forward = has_jvp(at.function) if kernel.forward_mode is None else kernel.forward_mode
        reported = {spelled(leaf.name): leaf.name for leaf in at.inputs}
        return Plan(
            Settings(
                resolution=case.required_resolution(self.place.dtype),
                digits=case.digits or 0.0,
                subgradient=case.subgradient,
                forward=forward,
                waiver=self.place.waiver,
            ),
            {
                _reported(name, reported): [self._derivative(one, at) for one in written]
                for name, written in kernel.derivatives.items()
            },
            self._pass(kernel.backward),
            self._pass(kernel.jvp),
            self._reference(),
            kernel.conditions,
            self._beside(),
        )

    def _derivative(self, written: Written, at: PythonFunction) -> Derivative:
        if isinstance(written, Import):
            return Derivative(self.imports.load(written), str(written), written.line)
        formula = FormulaOfValues(written, self.place, at.graph.outputs[0].detach())
        return Derivative(formula, written.text, written.line)

    def _pass(self, written: Import | None) -> Derivative | None:
        if written is None:
            return None
        return Derivative(self.imports.load(written), str(written), written.line)

    def _reference(self) -> Callable[[PythonFunction], Reference] | None:
        case, kernel = self.place.case, self.kernel
        values = self._values(self.place.device)
        if kernel.has_reference:
            return lambda at: formula_reference(case, values, at, case.outputs, case.subgradient)
        if kernel.reference is None:
            return None
        found = self.imports.load(kernel.reference)
        refuse_class(found, str(kernel.reference))
        return lambda at: self._called_alike(found, values, at)

    def _called_alike(self, found: Any, values: Mapping[str, Any], at: PythonFunction) -> Reference:
        """The reference by name, or in the function's own order where its parameters differ."""
        function, given = called(found), {**values, **self.kernel.arguments}
        make: Callable[[], Callable[..., Any]] = lambda: function  # noqa: E731
        if isinstance(found, nn.Module):
            make, given = self._copies(found, values), _installed(copy.deepcopy(found), given)
        named = [name for name in map(spelled, at.named) if name in given]
        given = {name: given[name] for name in dict.fromkeys([*named, *given])}
        order = self._order_of_reference(function, _ordered(at.function, given))
        alike = make if order is None else lambda: _InOrder(make(), order)
        return Reference(alike, given, at, subgradient=self.place.case.subgradient)

    def _copies(self, module: nn.Module, values: Mapping[str, Any]) -> Callable[[], nn.Module]:
        """What makes a module of the same values: at first in double precision, then in the dtype.

        A reference asks for it in this order.
        """
        dtype = TORCH_DTYPE[self.place.dtype]
        dtypes = chain([widened(dtype)], repeat(dtype))

        def make() -> nn.Module:
            made = copy.deepcopy(module).to(self.place.device, next(dtypes))
            _installed(made, values)
            return made

        return make

    def _order_of_reference(
        self, function: Callable[..., Any], given: Sequence[str]
    ) -> Sequence[str] | None:
        """In which order it is given the values of these names; None where it is by name."""
        parameters = takes(function)
        if parameters is None:
            return given
        problem = parameters.problem(given)
        if problem and not _fit_in_order(given, parameters.names):
            raise UsageError(f"`{self.kernel.reference}` {problem}")
        if problem:
            return given
        if parameters.are_keywords:
            return None
        return [name for name in parameters.names if name in given]

    def _beside(self) -> Beside | None:
        """The function on the CPU, where it is checked on another device."""
        return None if self.place.device == CPU else Beside(lambda: self._at(CPU))


class _InOrder:
    """A function of values by name that is called with them in this order."""

    def __init__(self, function: Callable[..., Any], order: Sequence[str]) -> None:
        self._function = function
        self._order = order

    def __call__(self, **values: Any) -> Any:
        return self._function(*(values[name] for name in self._order))


def _reported(name: str, inputs: Mapping[str, str]) -> str:
    """A derivative, `x` or `dout/dx`, as reports name it; `inputs` has their names for inputs."""
    before, by, input = name.rpartition("/d")
    return before + by + inputs.get(input, input)


def _ordered(function: Callable[..., Any], names: Collection[str]) -> list[str]:
    """The names in the order of the function's parameters, where it has any of those."""
    parameters = takes(function)
    first = [name for name in (parameters.names if parameters else ()) if name in names]
    return [*first, *(name for name in names if name not in first)]


def _fit_in_order(names: Sequence[str], parameters: Sequence[str]) -> bool:
    """Whether parameters are as many as these names, and none of the names is of another one."""
    return len(names) == len(parameters) and all(
        name == parameter or name not in parameters
        for name, parameter in zip(names, parameters, strict=True)
    )


def _installed(module: nn.Module, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a module's parameters and buffers are put there; the others are returned.

    Raises:
        UsageError: One has another shape.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    known = {spelled(name): tensor for name, tensor in own.items()}
    for name, value in values.items():
        tensor = known.get(name)
        if tensor is None:
            continue
        if tensor.shape != value.shape:
            shapes = f"shape {list(tensor.shape)}, but its value {list(value.shape)}"
            raise UsageError(f"the module's `{name}` has {shapes}")
        tensor.data = value.detach().clone()
        tensor.requires_grad_(value.requires_grad)
    return {name: value for name, value in values.items() if name not in known}
