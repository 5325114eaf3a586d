"""The conditions by name, and which of them are asked for; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gradcheck.errors import UsageError
from gradcheck.language.spelling import suggestion

DEFAULT: Final[dict[str, str]] = {
    "zero_cotangent": "a cotangent of 0 gives a gradient of 0, in the input's layout",
    "one_hot_cotangent": "a cotangent with one entry gives its part of the gradient",
    "expanded_cotangent": "a cotangent that is expanded (stride 0), as of a sum, gives the same",
    "transposed_cotangent": "a cotangent that is transposed in memory gives the same",
    "sliced_cotangent": "a cotangent that is a slice of a larger tensor gives the same",
    "noncontiguous_cotangent": "a cotangent with gaps in memory gives the same",
    "undefined_cotangent": "an output without a cotangent counts as one with 0",
    "linear": "a gradient is linear in the cotangent, a jvp in the tangent, of any sign and size",
    "transposed_inputs": "inputs that are transposed in memory give the same",
    "sliced_inputs": "inputs that are slices of larger tensors give the same",
    "noncontiguous_inputs": "inputs with gaps in memory give the same",
    "expanded_inputs": "inputs that are expanded (stride 0) give what their copies give",
    "broadcast_inputs": "an input of size 1 that is broadcast gets its gradient summed",
    "empty_inputs": "inputs of size 0 get gradients of their shape, and the others 0",
    "aliased_inputs": "one tensor given for two inputs gets the sum of both gradients",
    "needs_input_grad": "where a part of the inputs requires a gradient, that is the same",
    "inputs_unchanged": "neither forward nor backward writes into an input",
    "cotangent_unchanged": "the backward does not write into its cotangent",
    "saved_tensors": "what is changed between forward and backward raises, or changes nothing",
    "separate_calls": "what one call gives and keeps is not touched by other calls and passes",
    "deterministic": "forward and backward give the same twice, or the same but for rounding",
    "direct_backward": "called by itself, the backward gives each gradient in its input's shape",
    "double_backward": "the derivative of the gradient is right, reverse over reverse",
    "forward_over_reverse": "and where there is a forward mode, forward over reverse",
}
"""What is looked at unless a case says otherwise: name → what must hold."""
OPT_IN: Final[dict[str, str]] = {
    "gradient_dtype": "a gradient has the dtype of its input",
    "batched_backward": "backward passes under vmap are what they are one by one",
    "batched_forward": "passes of forward mode under vmap are what they are one by one",
    "undefined_tangent": "an input without a tangent counts as one with 0",
    "tangent_dtype": "a tangent is complex where its output is",
    "vmap": "torch.func.vmap gives what a loop gives",
    "func_grad": "torch.func.vjp gives what backward gives",
    "compile": "torch.compile (aot_eager) gives the same values and gradients",
    "autocast": "under autocast gradients are the same but for its rounding",
    "opcheck": "torch.library.opcheck finds nothing wrong with a custom operator",
}
"""What is looked at where a case asks for it by name."""
CONDITIONS: Final = DEFAULT | OPT_IN
OF_A_FUNCTION: Final = frozenset(
    (
        *(
            "saved_tensors",
            "separate_calls",
            "direct_backward",
            "forward_over_reverse",
            "broadcast_inputs",
        ),
        *("vmap", "func_grad", "compile", "opcheck"),
    )
)
"""Those that say nothing of a backward which was written as a function of its own."""


def chosen(asked: Iterable[str]) -> tuple[str, ...]:
    """The names of the conditions that these words mean, in the order of the tables above.

    `all` is every default one, `none` is none, and `-name` leaves one out.

    Raises:
        UsageError: A word is no condition.
    """
    found: dict[str, None] = {}
    left_out: set[str] = set()
    for word in asked:
        name = word.removeprefix("-")
        if word == "all":
            found |= dict.fromkeys(DEFAULT)
        elif word == "none":
            continue
        elif name not in CONDITIONS:
            known = suggestion(name, CONDITIONS) or ": `gradcheck conditions` lists them"
            raise UsageError(f"`{word}` is no condition{known}")
        elif word == name:
            found[name] = None
        else:
            left_out.add(name)
    if left_out and not found:
        found |= dict.fromkeys(DEFAULT)
    return tuple(name for name in CONDITIONS if name in found and name not in left_out)
