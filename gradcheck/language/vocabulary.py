"""The vocabulary: every word that a formula may call, by topic, with torch's own names."""

from __future__ import annotations

from typing import Final

from gradcheck.language.word import Word

_OURS: Final = "gradcheck.torch_words"

CONSTANTS: Final = (
    Word("pi", None, "the ratio of a circle's circumference to its diameter", "math.pi"),
    Word("e", None, "the base of the natural logarithm", "math.e"),
)

ARITHMETIC: Final = (
    Word("add", "input:operand, other:operand", "x + y", "operator.add", derivative=("1", "1")),
    Word("sub", "input:operand, other:operand", "x - y", "operator.sub", derivative=("1", "-1")),
    Word(
        "mul",
        "input:operand, other:operand",
        "x * y",
        "operator.mul",
        derivative=("other", "input"),
    ),
    Word(
        "div",
        "input:operand, other:operand",
        "x / y",
        "operator.truediv",
        derivative=("1/other", "-(input/other)/other"),
    ),
    Word(
        "floor_divide",
        "input:operand, other:operand",
        "x // y",
        f"{_OURS}.floor_divide",
        derivative=("0", "0"),
    ),
    Word(
        "remainder",
        "input:operand, other:operand",
        "x % y",
        "operator.mod",
        derivative=("1", "-(input // other)"),
    ),
    Word(
        "pow",
        "input:operand, exponent:operand",
        "x ** y",
        f"{_OURS}.power",
        derivative=("exponent*input**(exponent - 1)", "out*log(input)"),
    ),
    Word("neg", "input:operand", "-x", "operator.neg", derivative="-1"),
    Word("positive", "input:operand", "+x", "operator.pos", derivative="1"),
    Word("lt", "input:operand, other:operand", "x < y", "operator.lt"),
    Word("le", "input:operand, other:operand", "x <= y", "operator.le"),
    Word("gt", "input:operand, other:operand", "x > y", "operator.gt"),
    Word("ge", "input:operand, other:operand", "x >= y", "operator.ge"),
    Word("eq", "input:operand, other:operand", "x == y", "operator.eq"),
    Word("ne", "input:operand, other:operand", "x != y", "operator.ne"),
    Word("logical_and", "input:raw, other:raw", "x & y", "torch.logical_and"),
    Word("logical_or", "input:raw, other:raw", "x | y", "torch.logical_or"),
    Word("logical_not", "input:raw", "~x", "torch.logical_not"),
)

ELEMENTWISE: Final = (
    Word("exp", "input", "e to the power of x", "torch.exp", derivative="out"),
    Word("log", "input", "natural logarithm", "torch.log", derivative="1/input"),
    Word(
        "log1p", "input", "log(1 + x), accurate near 0", "torch.log1p", derivative="1/(input + 1)"
    ),
    Word("expm1", "input", "exp(x) - 1, accurate near 0", "torch.expm1", derivative="out + 1"),
    Word("sqrt", "input", "square root", "torch.sqrt", derivative="1/(2*out)"),
    Word("rsqrt", "input", "1/sqrt(x)", "torch.rsqrt", derivative="-0.5*out**3"),
    Word("reciprocal", "input", "1/x", "torch.reciprocal", derivative="-(out*out)"),
    Word("square", "input", "x**2", "torch.square", derivative="2*input"),
    Word("abs", "input", "absolute value", "torch.abs", derivative="sign(input)"),
    Word("sign", "input", "-1, 0 or 1", "torch.sign", derivative="0"),
    Word("conj", "input", "complex conjugate; x where it is real", "torch.conj", derivative="1"),
    Word("real", "input", "real part", "torch.real", derivative="1"),
    Word(
        "imag",
        "input",
        "imaginary part, 0 where x is real",
        "gradcheck.torch_words.imag",
        derivative="0",
    ),
    Word("floor", "input", "largest integer not above x", "torch.floor", derivative="0"),
    Word("round", "input", "nearest integer, ties to even", "torch.round", derivative="0"),
    Word("sin", "input", "sine", "torch.sin", derivative="cos(input)"),
    Word("cos", "input", "cosine", "torch.cos", derivative="-sin(input)"),
    Word("tan", "input", "tangent", "torch.tan", derivative="1 + out**2"),
    Word("asin", "input", "inverse sine", "torch.asin", derivative="rsqrt(1 - input*input)"),
    Word("acos", "input", "inverse cosine", "torch.acos", derivative="-rsqrt(1 - input*input)"),
    Word("atan", "input", "inverse tangent", "torch.atan", derivative="1/(input*input + 1)"),
    Word(
        "atan2",
        "input, other",
        "angle of the point (other, input)",
        "torch.atan2",
        derivative=("other/(input*input + other*other)", "-input/(input*input + other*other)"),
    ),
    Word("sinh", "input", "hyperbolic sine", "torch.sinh", derivative="cosh(input)"),
    Word("cosh", "input", "hyperbolic cosine", "torch.cosh", derivative="sinh(input)"),
    Word("tanh", "input", "hyperbolic tangent", "torch.tanh", derivative="1 - out**2"),
    Word("sigmoid", "input", "1/(1 + exp(-x))", "torch.sigmoid", derivative="(1 - out)*out"),
    Word(
        "logsigmoid",
        "input",
        "log(sigmoid(x))",
        "torch.nn.functional.logsigmoid",
        derivative="sigmoid(-input)",
    ),
    Word(
        "softplus",
        "input, beta:number?, threshold:number?",
        "log(1 + exp(beta*x))/beta, linear where beta*x exceeds the threshold (20)",
        "torch.nn.functional.softplus",
        derivative="where(beta*input > threshold, 1, sigmoid(beta*input))",
    ),
    Word("relu", "input", "maximum(x, 0)", "torch.relu", derivative="input > 0"),
    Word(
        "leaky_relu",
        "input, negative_slope:number?",
        "x where positive, else negative_slope*x (0.01)",
        "torch.nn.functional.leaky_relu",
        derivative="where(input > 0, 1, negative_slope)",
    ),
    Word(
        "elu",
        "input, alpha:number?",
        "x where positive, else alpha*(exp(x) - 1)",
        "torch.nn.functional.elu",
        derivative="where(input > 0, 1, alpha*exp(minimum(input, 0)))",
    ),
    Word(
        "gelu",
        "input, approximate:text?",
        "x times the normal distribution function of x; approximate: 'none' or 'tanh'",
        "torch.nn.functional.gelu",
        derivative=(
            "where(approximate, (1 + tanh(sqrt(2/pi)*(input + "
            "0.044715*input**3)))/2 + input/2*(1 - tanh(sqrt(2/pi)*(input + "
            "0.044715*input**3))**2)*sqrt(2/pi)*(1 + 0.134145*input**2), (1 + "
            "erf(input/sqrt(2)))/2 + input*exp(-input**2/2)/sqrt(2*pi))"
        ),
    ),
    Word(
        "silu",
        "input",
        "x*sigmoid(x)",
        "torch.nn.functional.silu",
        derivative="sigmoid(input)*(1 + input*(1 - sigmoid(input)))",
    ),
    Word("erf", "input", "error function", "torch.erf", derivative="2/sqrt(pi)*exp(-input**2)"),
    Word(
        "erfc",
        "input",
        "1 - erf(x), accurate for large x",
        "torch.erfc",
        derivative="-2/sqrt(pi)*exp(-input**2)",
    ),
    Word("lgamma", "input", "log of |gamma(x)|", "torch.lgamma", derivative="digamma(input)"),
    Word(
        "digamma",
        "input",
        "derivative of lgamma",
        "torch.digamma",
        derivative="polygamma(1, input)",
    ),
    Word(
        "polygamma",
        "n:int, input",
        "n-th derivative of digamma",
        f"{_OURS}.polygamma",
        derivative="polygamma(n + 1, input)",
    ),
    Word(
        "xlogy",
        "input, other",
        "x*log(y), 0 where x is 0",
        "torch.xlogy",
        derivative=("log(other)", "input/other"),
    ),
    Word(
        "hypot",
        "input, other",
        "sqrt(x**2 + y**2)",
        "torch.hypot",
        derivative=("input/out", "other/out"),
    ),
    Word(
        "logaddexp",
        "input, other",
        "log(exp(x) + exp(y))",
        "torch.logaddexp",
        derivative=("1/(1 + exp(other - input))", "1/(1 + exp(input - other))"),
    ),
    Word(
        "minimum",
        "input, other",
        "the smaller of two",
        "torch.minimum",
        derivative=(
            "where(input == other, 0.5, input < other)",
            "where(input == other, 0.5, other < input)",
        ),
    ),
    Word(
        "maximum",
        "input, other",
        "the larger of two",
        "torch.maximum",
        derivative=(
            "where(input == other, 0.5, input > other)",
            "where(input == other, 0.5, other > input)",
        ),
    ),
    Word(
        "clamp",
        "input, min:operand?, max:operand?",
        "x moved into [min, max]",
        f"{_OURS}.clamp",
        derivative=(
            "(input >= min) & (input <= max)",
            "(min < max) & (input < min)",
            "(max < min) | (input > max)",
        ),
    ),
    Word(
        "where",
        "condition:raw, input, other",
        "input where true, else other",
        "torch.where",
        derivative=("condition", "~condition"),
    ),
    Word("detach", "input", "x as a constant, not differentiated", "torch.detach", derivative="0"),
)

REDUCTIONS: Final = (
    Word(
        "sum",
        "input, dim:ints?, keepdim:flag?",
        "sum of entries",
        "torch.sum",
        derivative="cotangent",
    ),
    Word(
        "mean",
        "input, dim:ints?, keepdim:flag?",
        "mean of entries",
        "torch.mean",
        derivative="cotangent/count",
    ),
    Word(
        "prod",
        "input, dim:int?, keepdim:flag?",
        "product of entries",
        "torch.prod",
        derivative="cotangent*out/input",
    ),
    Word(
        "amax",
        "input, dim:ints?, keepdim:flag?",
        "largest entry",
        "torch.amax",
        derivative="where(input == out, cotangent/sum(input == out, dim, keepdim=True), 0)",
    ),
    Word(
        "amin",
        "input, dim:ints?, keepdim:flag?",
        "smallest entry",
        "torch.amin",
        derivative="where(input == out, cotangent/sum(input == out, dim, keepdim=True), 0)",
    ),
    Word(
        "var",
        "input, dim:ints?, correction:number?, keepdim:flag?, unbiased:flag?",
        "variance, over n - correction (1)",
        "torch.var",
        derivative=("2/(count - correction)*cotangent*(input - mean(input, dim, keepdim=True))"),
    ),
    Word(
        "std",
        "input, dim:ints?, correction:number?, keepdim:flag?, unbiased:flag?",
        "standard deviation, over n - correction (1)",
        "torch.std",
        derivative=(
            "cotangent/(out*(count - correction))*(input - mean(input, dim, keepdim=True))"
        ),
    ),
    Word(
        "logsumexp",
        "input, dim:ints, keepdim:flag?",
        "log(sum(exp(x)))",
        "torch.logsumexp",
        derivative="cotangent*exp(input - out)",
    ),
    Word(
        "softmax",
        "input, dim:int",
        "exp(x)/sum(exp(x))",
        "torch.softmax",
        derivative="out*(cotangent - sum(cotangent*out, dim, keepdim=True))",
    ),
    Word(
        "log_softmax",
        "input, dim:int",
        "log(softmax(x))",
        "torch.log_softmax",
        derivative="cotangent - exp(out)*sum(cotangent, dim, keepdim=True)",
    ),
    Word(
        "cumsum",
        "input, dim:int",
        "sums up to each entry",
        "torch.cumsum",
        derivative="flip(cumsum(flip(cotangent, dim), dim), dim)",
    ),
    Word(
        "cumprod",
        "input, dim:int",
        "products up to each entry",
        "torch.cumprod",
        derivative="flip(cumsum(flip(cotangent*out, dim), dim), dim)/input",
    ),
    Word(
        "norm",
        "input, p:number?, dim:ints?, keepdim:flag?",
        "the p-norm of the entries (2)",
        f"{_OURS}.norm",
        derivative="where(p == 0, 0, cotangent*input*abs(input)**(p - 2)/out**(p - 1))",
    ),
)

LINEAR_ALGEBRA: Final = (
    Word("matmul", "input, other", "x @ y", "torch.matmul"),
    Word("dot", "input, tensor", "inner product of two vectors", "torch.dot"),
    Word("outer", "input, vec2", "outer product of two vectors", "torch.outer"),
    Word("kron", "input, other", "Kronecker product", "gradcheck.torch_words.kron"),
    Word(
        "einsum",
        "equation:text, *operands",
        "sum of products, indices as in 'ij,jk->ik'",
        f"{_OURS}.einsum",
    ),
    Word("tensordot", "a, b, dims:ints?", "contraction over dims (2)", "torch.tensordot"),
    Word("trace", "input", "sum of a matrix's diagonal", f"{_OURS}.trace"),
    Word(
        "det",
        "input",
        "determinant",
        "torch.linalg.det",
        derivative="cotangent[..., None, None]*out[..., None, None]*inv(input).mT",
    ),
    Word("logdet", "input", "log of the determinant", "torch.logdet"),
    Word(
        "slogdet",
        "input",
        "sign and log|det|: slogdet(x)[0], slogdet(x)[1]",
        "torch.linalg.slogdet",
    ),
    Word(
        "inv",
        "A",
        "inverse matrix",
        "torch.linalg.inv",
        derivative="-(out.mT @ cotangent @ out.mT)",
    ),
    Word(
        "solve",
        "A, B",
        "inv(A) @ B",
        "torch.linalg.solve",
        derivative=("-(solve(A.mT, cotangent) @ out.mT)", "solve(A.mT, cotangent)"),
    ),
    Word(
        "cholesky",
        "input",
        "lower triangular L with L @ L.T = (x + x.T)/2",
        f"{_OURS}.cholesky",
        derivative=(
            "(inv(out).mT @ (tril(out.mT @ cotangent) + tril(out.mT @ cotangent, "
            "-1)) @ inv(out) + (inv(out).mT @ (tril(out.mT @ cotangent) + "
            "tril(out.mT @ cotangent, -1)) @ inv(out)).mT)/4"
        ),
    ),
    Word(
        "diag",
        "input, diagonal:int?",
        "diagonal of a matrix, or matrix of one",
        f"{_OURS}.diag",
    ),
    Word("tril", "input, diagonal:int?", "lower triangle, zero above", "torch.tril"),
    Word("triu", "input, diagonal:int?", "upper triangle, zero below", "torch.triu"),
)

SHAPES: Final = (
    Word("T", "input", "x.T: the transpose of a matrix", f"{_OURS}.transpose_all"),
    Word("mT", "input", "x.mT: the last two dimensions swapped", f"{_OURS}.transpose_matrix"),
    Word("transpose", "input, dim0:int, dim1:int", "two dimensions swapped", "torch.transpose"),
    Word("permute", "input, dims:ints", "dimensions in another order", "torch.permute"),
    Word("reshape", "input, shape:ints", "the same entries in another shape", "torch.reshape"),
    Word("flatten", "input, start_dim:int?, end_dim:int?", "dimensions joined", "torch.flatten"),
    Word("squeeze", "input, dim:ints?", "dimensions of size 1 removed", "torch.squeeze"),
    Word("unsqueeze", "input, dim:int", "a dimension of size 1 inserted", "torch.unsqueeze"),
    Word("expand", "input, *size:ints", "dimensions of size 1 repeated", f"{_OURS}.expand"),
    Word("concatenate", "tensors:list, dim:int?", "joined along dim (0)", "torch.concatenate"),
    Word("stack", "tensors:list, dim:int?", "joined along a new dim (0)", "torch.stack"),
    Word("flip", "input, dims:ints", "order of entries reversed", "torch.flip"),
    Word("roll", "input, shifts:ints, dims:ints?", "entries moved round", "torch.roll"),
    Word("gather", "input, dim:int, index:raw", "entries picked by index", f"{_OURS}.gather"),
    Word(
        "index_select",
        "input, dim:int, index:raw",
        "slices picked by index",
        f"{_OURS}.index_select",
    ),
    Word(
        "unfold",
        "input, kernel_size:ints, dilation:ints?, padding:ints?, stride:ints?",
        "sliding blocks of (N, C, H, W) as columns (N, C*kernel, blocks)",
        f"{_OURS}.unfold",
    ),
    Word(
        "fold",
        "input, output_size:ints, kernel_size:ints, dilation:ints?, padding:ints?, stride:ints?",
        "columns as blocks of (N, C, *output_size), summed where they overlap",
        f"{_OURS}.fold",
    ),
    Word(
        "one_hot",
        "input:raw, num_classes:int",
        "1 at the class, 0 elsewhere",
        f"{_OURS}.one_hot",
        True,
    ),
)

CREATION: Final = (
    Word("zeros", "*size:ints", "all 0", f"{_OURS}.zeros", True),
    Word("ones", "*size:ints", "all 1", f"{_OURS}.ones", True),
    Word("eye", "n:int, m:int?", "identity matrix", f"{_OURS}.eye", True),
    Word(
        "arange",
        "start:number, end:number?, step:number?",
        "equally spaced numbers",
        f"{_OURS}.arange",
        True,
    ),
    Word("zeros_like", "input", "all 0, in the shape of x", "torch.zeros_like"),
    Word("ones_like", "input", "all 1, in the shape of x", "torch.ones_like"),
    Word(
        "full_like",
        "input, fill_value:number",
        "one number, in the shape of x",
        "torch.full_like",
    ),
)

TOPICS: Final = {
    "constants": CONSTANTS,
    "arithmetic": ARITHMETIC,
    "elementwise": ELEMENTWISE,
    "reductions": REDUCTIONS,
    "linear algebra": LINEAR_ALGEBRA,
    "shapes": SHAPES,
    "creation": CREATION,
}

BROADCASTING: Final = frozenset(word.name for word in (*ARITHMETIC, *ELEMENTWISE))
"""Words whose result has the shape that their arguments broadcast to."""

ATTRIBUTES: Final = frozenset({"T", "mT"})
"""Words that follow a dot, so that a value may have their name."""
POINTWISE: Final = BROADCASTING | {"pi", "e", "zeros_like", "ones_like", "full_like"}
"""Words that work entry by entry."""

WORDS: Final = {word.name: word for words in TOPICS.values() for word in words}

SYNONYMS: Final = {
    "max": "amax (over entries) or maximum (of two)",
    "min": "amin (over entries) or minimum (of two)",
    "ln": "log",
    "power": "x ** y",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "cat": "concatenate",
    "concat": "concatenate",
    "inverse": "inv",
    "mm": "x @ y",
    "bmm": "x @ y",
    "view": "reshape",
    "im2col": "unfold",
    "col2im": "fold",
    "swish": "silu",
    "expit": "sigmoid",
    "pinv": "inv",
    "len": "a named size (`sizes:`)",
    "relu_": "relu",
}
"""What people write for a word that exists here under another name."""
