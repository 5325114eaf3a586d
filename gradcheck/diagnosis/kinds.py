"""The kinds of mistakes that a diagnosis can name, from the most telling to the least."""

from __future__ import annotations

from typing import Final

OF_A_DERIVATIVE: Final = (
    "consequence",
    "sign",
    "transposed",
    "mean_for_sum",
    "sum_for_mean",
    "constant_factor",
    "missing_factor",
    "extra_factor",
    "off_by_one_step",
    "forgotten_use",
    "lost_outside",
    "reduction",
    "sign_where_negative",
    "wrong_sign_of_a_term",
    "extra_term",
    "wrong_constant",
    "missing_term",
    "permuted",
    "wrong_name",
    "row",
    "column",
    "block",
    "entry",
)
"""Of what was written by hand."""
OF_AUTOGRAD: Final = ("detached", "rounding_step", "in_place", "custom_backward")
OF_THE_FUNCTION: Final = ("random", "kink", "jump", "domain_edge")
KINDS: Final = (*OF_THE_FUNCTION, *OF_AUTOGRAD, *OF_A_DERIVATIVE)
"""In the order in which they are named, where several fit."""
