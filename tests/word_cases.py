"""A case for every word: its own statement of its derivative, or one written out by hand."""

import re

from gradcheck.language.vocabulary import POINTWISE, WORDS
from gradcheck.rigorous.matrices import MATRICES
from gradcheck.rigorous.reductions import REDUCTIONS, SCANS

NUMBERS = {"input": "0.7", "other": "1.3", "exponent": "1.3", "min": "0.1", "max": "0.9"}
MATRIX = "[[0.3, -0.8, 1.1], [0.7, 0.2, -0.4]]"
SQUARE = "[[2.5, 0.5, -0.25], [0.5, 3.0, 0.75], [-0.25, 0.75, 2.0]]"
COTANGENT = "[[0.9, -1.2, 0.4], [0.3, 1.7, -0.6]]"
SETTINGS = {
    "softplus": {"beta": "2", "threshold": "20"},
    "leaky_relu": {"negative_slope": "0.125"},
    "elu": {"alpha": "1.5"},
    "full_like": {"fill_value": "3"},
}

# Of words that move entries, make them or are made of other words: L, and dL by each input.
WRITTEN = {
    "zeros": ("x*sum(zeros(3))", {"x": "0"}),
    "ones": ("x*sum(ones(3))", {"x": "3"}),
    "eye": ("x**2*sum(eye(3))", {"x": "6*x"}),
    "arange": ("sum(sin(x*arange(3)))", {"x": "cos(x) + 2*cos(2*x)"}),
    "pi": ("sin(pi*x)", {"x": "pi*cos(pi*x)"}),
    "e": ("e**x", {"x": "exp(x)"}),
    "one_hot": ("sum(M*one_hot([0, 2], 3))", {"M": "one_hot([0, 2], 3)"}),
    "matmul": ("sum((M @ S)*c)", {"M": "c @ S.T", "S": "M.T @ c"}),
    "dot": ("dot(v, w)**2", {"v": "2*dot(v, w)*w", "w": "2*dot(v, w)*v"}),
    "outer": ("sum(outer(v, w)*S)", {"v": "S @ w", "w": "S.T @ v"}),
    "kron": ("sum(kron(v, w))", {"v": "ones(3)*sum(w)", "w": "ones(3)*sum(v)"}),
    "einsum": ("sum(einsum('ij,jk->ik', M, S)*c)", {"M": "c @ S.T", "S": "M.T @ c"}),
    "tensordot": ("tensordot(M, c)**2", {"M": "2*tensordot(M, c)*c"}),
    "trace": ("trace(S @ S)", {"S": "2*S.T"}),
    "logdet": ("logdet(S)", {"S": "inv(S).T"}),
    "slogdet": ("slogdet(S)[1]", {"S": "inv(S).T"}),
    "diag": ("sum(diag(v) @ S)", {"v": "sum(S, 1)"}),
    "tril": ("sum(tril(S)**2)", {"S": "2*tril(S)"}),
    "triu": ("sum(triu(S, 1)**2)", {"S": "2*triu(S, 1)"}),
    "T": ("sum(M.T @ c)", {"M": "outer(ones(2), ones(3))*sum(c, 1, keepdim=True)"}),
    "mT": ("sum(M.mT*c.mT)", {"M": "c"}),
    "transpose": ("sum(transpose(M, 0, 1)*c.T)", {"M": "c"}),
    "permute": ("sum(permute(M, [1, 0])*c.T)", {"M": "c"}),
    "reshape": ("sum(reshape(M, [3, 2])*reshape(c, [3, 2]))", {"M": "c"}),
    "flatten": ("sum(flatten(M)**2*flatten(c))", {"M": "2*M*c"}),
    "squeeze": ("sum(squeeze(M[:, :1])*c[:, 0])", {"M": "c*[[1, 0, 0]]"}),
    "unsqueeze": ("sum(unsqueeze(v, 1)*w)", {"v": "ones(3)*sum(w)", "w": "ones(3)*sum(v)"}),
    "expand": ("sum(expand(v, 2, 3)*c)", {"v": "sum(c, 0)"}),
    "concatenate": ("sum(concatenate([v, w])**2)", {"v": "2*v", "w": "2*w"}),
    "stack": ("sum(stack([v, w])*c)", {"v": "c[0]", "w": "c[1]"}),
    "flip": ("sum(flip(v, 0)*w)", {"v": "flip(w, 0)", "w": "flip(v, 0)"}),
    "roll": ("sum(roll(v, 1)*w)", {"v": "roll(w, -1)", "w": "roll(v, 1)"}),
    "gather": ("sum(gather(M, 1, [[2], [0]]))", {"M": "one_hot([2, 0], 3)"}),
    "unfold": ("sum(unfold(M[None, None], 2)**2)", {"M": "2*M*[[1, 2, 1], [1, 2, 1]]"}),
    "fold": (
        "sum(fold(M[None], [1, 4], [1, 2])**2)",
        {"M": "2*unfold(fold(M[None], [1, 4], [1, 2]), [1, 2])[0]"},
    ),
    "index_select": ("sum(index_select(M, 1, [1])**2)", {"M": "2*M*[[0, 1, 0]]"}),
}  # fmt: skip
INPUTS = {
    "x": "0.7",
    "v": "[0.3, -0.8, 1.1]",
    "w": "[0.9, 1.4, -0.2]",
    "M": MATRIX,
    "S": SQUARE,
    "c": COTANGENT,
}
LAPACK = {"det", "inv", "solve", "cholesky", "logdet", "slogdet"}
"""Words that torch has in no 16-bit dtype."""


def case(name, factor=""):
    """The text of a case of this word whose right derivatives are multiplied by `factor`."""
    if name in WRITTEN:
        function, derivatives = WRITTEN[name]
        given = {n: INPUTS[n] for n in INPUTS if re.search(rf"\b{n}\b", function)}
        return _text(name, function, given, {}, derivatives, factor)
    if name in POINTWISE:
        return _pointwise(name, factor)
    return _with_cotangent(name, factor)


def _pointwise(name, factor):
    word = WORDS[name]
    values = [p.name for p in word.parameters if p.kind in ("tensor", "operand", "raw")]
    constants = dict(SETTINGS.get(name, {}))
    inputs = {n: NUMBERS[n] for n in values if n != "condition"}
    arguments = [f"{n}={n}" for n in [*values, *SETTINGS.get(name, {})]]
    arguments += ["n=2"] * (name == "polygamma")
    stated = {n: text or "0" for n, text in word.derivatives.items()} or dict.fromkeys(inputs, "0")
    stated = {n: re.sub(r"\bn\b", "2", text) for n, text in stated.items()}
    stated = {n: text.replace("approximate", "False") for n, text in stated.items()}
    stated = {n: text.replace("condition", "(input > 0.5)") for n, text in stated.items()}
    function = f"{name}({', '.join(arguments)})".replace("=condition", "=input > 0.5")
    return _text(name, function, inputs, constants, stated, factor)


def _with_cotangent(name, factor):
    """L is the word's result times a cotangent, so that its statement is the gradient of L."""
    word, sizes = WORDS[name], {}
    stated = {n: re.sub(r"\bout\b", "result", t) for n, t in word.derivatives.items()}
    if name in ("sum", "mean"):
        stated["input"] += "*ones_like(input)"
    if name in MATRICES:
        inputs = dict.fromkeys(stated, SQUARE) | (
            {"B": "[[1, 2], [3, -1], [0.5, 1]]"} if name == "solve" else {}
        )
        cotangent = {"det": "0.9", "solve": "[[0.9, -1.2], [0.4, 0.3], [1.7, -0.6]]"}.get(
            name, SQUARE
        )
        call = f"{name}({', '.join(f'{n}={n}' for n in inputs)})"
    else:
        inputs, sizes = {"input": MATRIX}, {"dim": "1", "count": "3"}
        extra = {"var": "correction", "std": "correction", "norm": "p"}.get(name)
        sizes |= {extra: {"correction": "1", "p": "3"}[extra]} if extra else {}
        kept = ", keepdim=True" if name in REDUCTIONS else ""
        call = f"{name}(input, dim=dim{f', {extra}={extra}' if extra else ''}{kept})"
        cotangent = "[[0.9], [-1.2]]" if name in REDUCTIONS else COTANGENT
        assert name in REDUCTIONS or name in SCANS
    return _text(
        name,
        f"{{result: '{call}', L: sum(result*cotangent)}}",
        inputs,
        {"cotangent": cotangent},
        {f"dL/d{n}": text for n, text in stated.items()},
        factor,
        sizes,
    )


def _text(name, function, inputs, constants, derivatives, factor, sizes=None):
    lines = [f"function: {function}" if function[0] == "{" else f'function: "{function}"']
    lines += [f"inputs: {{{', '.join(f'{n}: {v}' for n, v in inputs.items())}}}"]
    if constants:
        lines += [f"constants: {{{', '.join(f'{n}: {v}' for n, v in constants.items())}}}"]
    if sizes:
        lines += [f"sizes: {{{', '.join(f'{n}: {v}' for n, v in sizes.items())}}}"]
    lines += ["derivatives:"]
    lines += [f'  {n}: "({text}){factor}"' for n, text in derivatives.items()]
    narrow = "" if name in LAPACK else ", float16, bfloat16"
    return "\n".join([*lines, f"dtypes: [float64, float32{narrow}]"])
