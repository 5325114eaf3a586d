"""Drop-ins for torch.autograd.gradcheck and gradgradcheck: a change of an import is enough.

Every parameter means what it means in torch 2.13, but for these: without `atol` and `rtol` nothing
but the error bounds of the answers is accepted, `eps` is not used, and `fast_mode` checks all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor
from torch.autograd.gradcheck import GradcheckError
from torch.utils import _pytree

from gradcheck.conclusion import Fields
from gradcheck.conditions.subject import Subject
from gradcheck.conditions.table import TABLE
from gradcheck.errors import CheckFailedError
from gradcheck.function_check import judge_function
from gradcheck.function_problems import RaisedError
from gradcheck.interface import Results
from gradcheck.leaves import is_differentiable
from gradcheck.python_function import PythonFunction
from gradcheck.report.report import Report
from gradcheck.settings import Settings
from gradcheck.torch_state import checking
from gradcheck.user_code import name_of
from gradcheck.verdict import Waiver

_EPS: Final = 1e-6
_WITHIN: Final = "within the caller's atol and rtol"
_NOTHING_REQUIRES_GRAD: Final = (
    "gradcheck expects at least one input tensor to require gradient, "
    "but none of them have requires_grad=True."
)


class TorchGradcheckError(CheckFailedError, GradcheckError):
    """A check that failed, for those who catch torch's exception."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = _EPS,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    subgradient: bool = True,
) -> bool:
    """Whether torch's derivatives of a function by the inputs that require grad are right.

    `atol` and `rtol` are accepted beside the error bounds of the answers; by default they are 0.
    At a kink, `subgradient` accepts what lies between the one-sided derivatives.

    Raises:
        TorchGradcheckError: Unless `raise_exception` is false; it is torch's GradcheckError too.
        ValueError: No input requires grad.
        Exception: What the function raises.
    """
    _agree(check_forward_ad or check_backward_ad, _ONE_OF, "check_forward_ad", "check_backward_ad")
    _agree(
        not check_batched_grad or check_backward_ad,
        _NEEDS,
        "check_batched_grad",
        "check_backward_ad",
    )
    _agree(
        not check_batched_forward_grad or check_forward_ad,
        _NEEDS,
        "check_batched_forward_grad",
        "check_forward_ad",
    )
    settings = Settings(
        subgradient=subgradient,
        backward=check_backward_ad,
        forward=check_forward_ad,
        waiver=Waiver(_WITHIN, atol or 0.0, rtol or 0.0) if atol or rtol else None,
        nondet_tol=nondet_tol,
    )
    backward = {
        "zero_cotangent": True,
        "undefined_cotangent": check_undefined_grad,
        "gradient_dtype": check_grad_dtypes,
        "batched_backward": check_batched_grad,
    }
    forward = {
        "undefined_tangent": check_undefined_grad,
        "tangent_dtype": check_grad_dtypes,
        "batched_forward": check_batched_forward_grad,
    }
    asked = {**(backward if check_backward_ad else {}), **(forward if check_forward_ad else {})}
    report = _report(
        func, inputs, settings, [name for name, is_on in asked.items() if is_on], bool(masked)
    )
    if not report.results or report.ok:
        return True
    if raise_exception:
        unused = f"\n(eps={eps:g} is not used: steps are chosen for each input)"
        raise TorchGradcheckError(report, str(report) + (unused if eps != _EPS else ""))
    return False


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = _EPS,
    atol: float | None = None,
    rtol: float | None = None,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    subgradient: bool = True,
) -> bool:
    """Whether torch's second derivatives are right: those of its gradient for `grad_outputs`.

    Those are random unless they are given. See `gradcheck` for the other parameters.

    Raises:
        TorchGradcheckError: Unless `raise_exception` is false; it is torch's GradcheckError too.
        ValueError: No input requires grad.
        Exception: What the function raises.
    """
    _agree(
        check_fwd_over_rev or check_rev_over_rev,
        _ONE_OF,
        "check_fwd_over_rev",
        "check_rev_over_rev",
    )
    _agree(
        not check_undefined_grad or check_rev_over_rev,
        _NEEDS,
        "check_undefined_grad",
        "check_rev_over_rev",
    )
    _agree(
        not check_batched_grad or check_rev_over_rev,
        _NEEDS,
        "check_batched_grad",
        "check_rev_over_rev",
    )
    arguments = _as_tuple(inputs)
    if grad_outputs is None:
        cotangents = _random_like(_tracked(func(*arguments)), gen_non_contig_grad_outputs)
    else:
        cotangents = _as_tuple(grad_outputs)
    return gradcheck(
        _Gradient(func, arguments, cotangents, gen_non_contig_grad_outputs),
        (*arguments, *cotangents),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
        subgradient=subgradient,
    )


class _Gradient:
    """The gradient of a function by the inputs that require grad, of these and of cotangents."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        cotangents: Sequence[Any],
        strided: bool,
    ) -> None:
        self.__name__ = f"gradient of {name_of(function)}"
        self.__wrapped__ = self._function = function
        self._by = [i for i, leaf in enumerate(_pytree.tree_leaves(inputs)) if _requires(leaf)]
        self._free = [_requires(cotangent) for cotangent in cotangents]
        self._strided = strided
        self._outputs: list[int] = []  # that have a gradient, and inputs that one reaches
        self._reached: list[int] = []

    def __call__(self, *arguments: Any) -> tuple[Tensor, ...]:
        split = len(arguments) - len(self._free)
        leaves, tree = _pytree.tree_flatten(arguments[:split])
        if any(map(is_batchedtensor, (leaf for leaf in arguments if isinstance(leaf, Tensor)))):
            return self._under_vmap(leaves, tree, arguments[split:])
        for position in self._by:
            leaves[position] = _required(leaves[position])
        cotangents = [
            _required(one) if is_free else one
            for one, is_free in zip(arguments[split:], self._free, strict=True)
        ]
        results = self._function(*_pytree.tree_unflatten(leaves, tree))
        self._outputs = [i for i, one in enumerate(_pytree.tree_leaves(results)) if _requires(one)]
        found = torch.autograd.grad(
            _tracked(results),
            [leaves[position] for position in self._by],
            [_with_gaps(one) if self._strided else one for one in cotangents],
            create_graph=True,
            allow_unused=True,
        )
        self._reached = [i for i, gradient in enumerate(found) if gradient is not None]
        return tuple(found[i] for i in self._reached)

    def _under_vmap(
        self, leaves: Sequence[Any], tree: Any, cotangents: Sequence[Any]
    ) -> tuple[Tensor, ...]:
        """The same by torch.func, into which vmap can look; after a call without it."""

        def outputs(*by: Tensor) -> tuple[Tensor, ...]:
            own = list(leaves)
            for position, value in zip(self._by, by, strict=True):
                own[position] = value
            found = _pytree.tree_leaves(self._function(*_pytree.tree_unflatten(own, tree)))
            return tuple(found[i] for i in self._outputs)

        pull = torch.func.vjp(outputs, *(leaves[position] for position in self._by))[1]
        gradients = pull(tuple(cotangents))
        return tuple(gradients[i] for i in self._reached)


def _report(
    function: Callable[..., Any],
    inputs: Any,
    settings: Settings,
    asked: Sequence[str],
    masked: bool,
) -> Report:
    """Raises what the function raises."""
    arguments = _as_tuple(inputs)
    if not any(map(_requires, _pytree.tree_leaves(arguments))):
        raise ValueError(_NOTHING_REQUIRES_GRAD)
    with checking():
        at = PythonFunction(function, arguments, masked=masked)
        if not at.outputs:
            return Report(())  # nothing that has a derivative
        result = Results(function)
        result.at(at, settings)
        try:
            found = list(judge_function(at, settings))
            if not any(fields["verdict"] == "fail" for fields in found):
                found += _unmet(at, asked)
        except RaisedError as error:
            raise error.cause from None
        return Report(tuple(map(result, found)))


def _unmet(function: PythonFunction, asked: Sequence[str]) -> Iterator[Fields]:
    if not function.graph.tracked:
        return
    subject = Subject(function)
    for name in asked:
        for problem in TABLE[name](subject):
            yield {"verdict": "fail", "blame": "autograd", "notes": (problem,)}


_ONE_OF: Final = "Expected at least one of {} or {} to be True"
_NEEDS: Final = "Setting {}=True requires {} to be True"


def _agree(is_so: bool, message: str, *names: str) -> None:
    if not is_so:
        raise AssertionError(message.format(*names))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _requires(value: Any) -> bool:
    return is_differentiable(value) and value.requires_grad


def _required(tensor: Tensor) -> Tensor:
    return tensor if tensor.requires_grad else tensor.requires_grad_()


def _tracked(result: Any) -> list[Tensor]:
    return [leaf for leaf in _pytree.tree_leaves(result) if _requires(leaf)]


def _random_like(outputs: Sequence[Tensor], strided: bool) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(_cotangent(output, generator) for output in outputs)


def _cotangent(output: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers between -1 and 1, both parts of complex ones."""
    wide = torch.complex128 if output.is_complex() else torch.float64
    shape = (*output.shape, 2) if output.is_complex() else output.shape
    numbers = 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1
    values = torch.view_as_complex(numbers) if wide.is_complex else numbers
    return values.to(output.device, output.dtype).requires_grad_()


def _with_gaps(tensor: Tensor) -> Tensor:
    """The same values, not next to each other in memory."""
    return torch.stack([tensor, tensor], dim=-1)[..., 0]
