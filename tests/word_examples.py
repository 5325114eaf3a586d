"""Every word of the vocabulary at some points, with what it is there by numpy, mpmath and loops."""

import itertools
import math

import mpmath
import numpy as np
import torch

RANDOM = np.random.RandomState(0)
X = RANDOM.uniform(-2, 2, (2, 3))
Y = RANDOM.uniform(0.5, 2, (2, 3))
V = RANDOM.uniform(-2, 2, 3)
W = RANDOM.uniform(0.5, 2, 3)
M = RANDOM.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)
S = M @ M.T
C = RANDOM.uniform(-1, 1, (2, 1, 3))
VALUES = {"x": X, "y": Y, "v": V, "w": W, "m": M, "s": S, "c": C, "k": np.array([2, 0])}


# Elementwise words, at random and at hard points


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def softplus(x):
    return x if x > 20 else mpmath.log1p(mpmath.exp(x))


def gelu_tanh(x):
    return (
        x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))
    )


def rounded(x):
    below = mpmath.floor(x)
    odd = int(below) % 2
    return below + (x - below > mpmath.mpf("0.5") or (x - below == mpmath.mpf("0.5") and odd))


UNARY = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "expm1": mpmath.expm1,
    "sqrt": mpmath.sqrt,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "abs": abs,
    "conj": lambda x: x,
    "real": lambda x: x,
    "imag": lambda x: mpmath.mpf(0),
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "round": rounded,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "sigmoid": sigmoid,
    "logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "softplus": softplus,
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else x * mpmath.mpf(0.01),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "silu": lambda x: x * sigmoid(x),
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "lgamma": lambda x: mpmath.log(abs(mpmath.gamma(x))),
    "digamma": mpmath.digamma,
    "neg": lambda x: -x,
    "positive": lambda x: x,
}
DOMAIN = {
    "log": (0, math.inf),
    "sqrt": (0, math.inf),
    "rsqrt": (0, math.inf),
    "log1p": (-1, math.inf),
    "asin": (-1, 1),
    "acos": (-1, 1),
}
CANCELLING = {"gelu"}
"""Where torch's algorithm, here 1 + erf, loses the digits of a small result."""
POINTS = [
    *np.random.RandomState(1).uniform(-4, 4, 40),
    *np.random.RandomState(2).uniform(-1, 1, 20),
    *(0.5, 1.0, 1.5, 2.5, -0.5, -1.5, -2.5, 3.0, 19.9, 20.1, 30.0, -30.0, 80.0, -80.0),
    *(1e-3, -1e-3, 1e-8, -1e-8, 1e-30, -1e-30, 1e3, -1e3, 1e6, 1e15),
]


def inside(name, dtype):
    lower, upper = DOMAIN.get(name, (-math.inf, math.inf))
    exact = torch.tensor(POINTS, dtype=dtype).double()
    return [x for x in exact.tolist() if lower < x < upper]


# All other words


def elementwise(function, *arrays):
    broadcast = np.broadcast_arrays(*arrays)
    with mpmath.workdps(40):
        flat = [
            float(function(*map(mpmath.mpf, map(float, at))))
            for at in zip(*map(np.ravel, broadcast), strict=True)
        ]
    return np.array(flat).reshape(broadcast[0].shape)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def leibniz_determinant(a):
    (b, c, d), (e, f, g), (h, i, j) = a
    return b * (f * j - g * i) - c * (e * j - g * h) + d * (e * i - f * h)


def block_entries(shape, kernel, dilation, stride):
    """Row, block, channel, y and x of each entry of each block of images of this shape."""
    starts = [
        range(0, n - d * (k - 1), step)
        for n, k, d, step in zip(shape[2:], kernel, dilation, stride, strict=True)
    ]
    rows = enumerate(itertools.product(range(shape[1]), range(kernel[0]), range(kernel[1])))
    blocks = enumerate(itertools.product(*starts))
    for (row, (channel, i, j)), (block, (y, x)) in itertools.product(rows, blocks):
        yield row, block, channel, y + dilation[0] * i, x + dilation[1] * j


def unfolded(images, kernel, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    padded = np.pad(images, [(0, 0), (0, 0), *((p, p) for p in padding)])
    entries = list(block_entries(padded.shape, kernel, dilation, stride))
    columns = np.zeros((len(images), 1 + entries[-1][0], 1 + entries[-1][1]))
    for row, block, *at in entries:
        columns[:, row, block] = padded[:, *at]
    return columns


def folded(columns, size, kernel, dilation=(1, 1), padding=(0, 0), stride=(1, 1)):
    (height, width), (above, left) = size, padding
    shape = len(columns), columns.shape[1] // math.prod(kernel)
    padded = np.zeros((*shape, height + 2 * above, width + 2 * left))
    for row, block, *at in block_entries(padded.shape, kernel, dilation, stride):
        padded[:, *at] += columns[:, row, block]
    return padded[:, :, above : above + height, left : left + width]


EXAMPLES = {
    "pi": [("pi", 3.141592653589793), ("pi*x", math.pi * X)],
    "e": [("e", 2.718281828459045)],
    "add": [("x + y", X + Y), ("x + 1", X + 1), ("add(x, v)", X + V), ("1 + (x > 0)", 1 + (X > 0))],
    "sub": [("x - y", X - Y), ("1 - v", 1 - V)],
    "mul": [("x*y", X * Y), ("(x > 0)*2.0", (X > 0) * 2.0), ("2*k", [4, 0])],
    "div": [("x/y", X / Y), ("1/y", 1 / Y), ("k/4", [0.5, 0])],
    "floor_divide": [("x // y", np.floor(X / Y)), ("7 // 2", 3)],
    "remainder": [("x % y", X - np.floor(X / Y) * Y), ("-7 % 3", 2)],
    "pow": [("y**x", Y**X), ("x**2", X * X), ("x**-1", 1 / X), ("2**x", 2**X), ("2**10", 1024)],
    "neg": [("-x", -X), ("-(x > 0)", -1.0 * (X > 0)), ("-3", -3)],
    "positive": [("+x", X), ("+3", 3)],
    "lt": [("x < y", X < Y), ("x < 0", X < 0), ("1 < 2", True)],
    "le": [("x <= x", X <= X), ("2 <= 1", False)],
    "gt": [("x > y", X > Y)],
    "ge": [("x >= x", X >= X)],
    "eq": [("x == x", X == X), ("k == 2", [True, False])],
    "ne": [("x != 0", X != 0)],
    "logical_and": [("(x > 0) & (x < 1)", (X > 0) & (X < 1)), ("x & 0", X > 9)],
    "logical_or": [("(x > 0) | (x < -1)", (X > 0) | (X < -1))],
    "logical_not": [("~(x > 0)", X <= 0), ("~True", False)],
    "polygamma": [
        ("polygamma(2, y)", elementwise(lambda x: mpmath.polygamma(2, x), Y)),
        ("polygamma(3, y)", elementwise(lambda x: mpmath.polygamma(3, x), Y)),
    ],
    "atan2": [("atan2(x, v)", elementwise(mpmath.atan2, X, V)), ("atan2(1, 1)", math.pi / 4)],
    "xlogy": [("xlogy(x, y)", elementwise(lambda x, y: x * mpmath.log(y), X, Y))],
    "hypot": [("hypot(x, y)", elementwise(mpmath.hypot, X, Y)), ("hypot(3, 4)", 5)],
    "logaddexp": [
        (
            "logaddexp(x, y)",
            elementwise(lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)), X, Y),
        )
    ],
    "gelu": [("gelu(x, approximate='tanh')", elementwise(gelu_tanh, X))],
    "minimum": [("minimum(x, 0)", np.where(X < 0, X, 0)), ("minimum(2, 3)", 2)],
    "maximum": [("maximum(x, v)", np.where(X > V, X, np.broadcast_to(V, X.shape)))],
    "clamp": [
        ("clamp(x, -1, 1)", np.where(X < -1, -1, np.where(X > 1, 1, X))),
        ("clamp(x, min=v)", np.where(X < V, np.broadcast_to(V, X.shape), X)),
        ("clamp(x, v, 2)", np.where(X < V, np.broadcast_to(V, X.shape), X)),
        ("clamp(x, None, 0)", np.where(X > 0, 0, X)),
    ],
    "where": [
        ("where(x > 0, x, -y)", np.where(X > 0, X, -Y)),
        ("where(x > 0, 1, 0)", (X > 0) * 1.0),
        ("where([True, False, True], v, [7, 8, 9])", [V[0], 8, V[2]]),
    ],
    "detach": [("detach(x)", X), ("detach(2)", 2)],
    "sum": [
        ("sum(x)", X.sum()),
        ("sum(x, 0)", X.sum(0)),
        ("sum(x, dim=-1, keepdim=True)", X.sum(-1)[:, None]),
        ("sum(x, [0, 1])", X.sum()),
        ("sum(x > 0)", (X > 0).sum()),
        ("sum(k)", 2),
        ("sum([1, 2, 3])", 6),
        ("sum([True, True])", 2),
    ],
    "mean": [
        ("mean(x)", X.sum() / 6),
        ("mean(x, 1)", X.sum(1) / 3),
        ("mean(x > 0, 0)", (X > 0).mean(0)),
    ],
    "prod": [("prod(v)", V[0] * V[1] * V[2]), ("prod(x, 0, keepdim=True)", (X[0] * X[1])[None])],
    "amax": [("amax(x)", max(X.ravel())), ("amax(x, 0)", X.max(0)), ("amax(x, [1, 0])", X.max())],
    "amin": [("amin(x)", min(X.ravel())), ("amin(x, 1, True)", X.min(1)[:, None])],
    "var": [
        ("var(v)", ((V - V.mean()) ** 2).sum() / 2),
        ("var(x, 1, correction=0)", ((X - X.mean(1)[:, None]) ** 2).sum(1) / 3),
        ("var(v, unbiased=False)", ((V - V.mean()) ** 2).sum() / 3),
    ],
    "std": [
        ("std(v)", math.sqrt(((V - V.mean()) ** 2).sum() / 2)),
        ("std(x, 0)", X.std(0, ddof=1)),
    ],
    "logsumexp": [
        ("logsumexp(x, 1)", np.log(np.exp(X).sum(1))),
        ("logsumexp(x, [0, 1])", np.log(np.exp(X).sum())),
        ("logsumexp([1000, 1000], 0)", 1000 + math.log(2)),
    ],
    "softmax": [("softmax(x, -1)", softmax(X)), ("softmax([1000, 0], dim=0)", [1, 0])],
    "log_softmax": [("log_softmax(x, 1)", np.log(softmax(X)))],
    "cumsum": [("cumsum(v, 0)", [V[0], V[0] + V[1], V.sum()]), ("cumsum(k == 2, 0)", [1, 1])],
    "cumprod": [("cumprod(v, dim=0)", [V[0], V[0] * V[1], V.prod()])],
    "norm": [
        ("norm(x)", math.sqrt((X**2).sum())),
        ("norm(x, 1)", abs(X).sum()),
        ("norm(x, 3, 0)", (abs(X) ** 3).sum(0) ** (1 / 3)),
        ("norm(x, dim=1, keepdim=True)", np.sqrt((X**2).sum(1))[:, None]),
    ],
    "matmul": [
        ("x @ m", np.array([[sum(X[i] * M[:, j]) for j in range(3)] for i in range(2)])),
        ("x @ v", X @ V),
        ("v @ w", sum(V * W)),
        ("matmul(c, m)", C @ M),
    ],
    "dot": [("dot(v, w)", sum(V * W)), ("dot([1, 2], [3, 4])", 11)],
    "outer": [("outer(v, w)", np.array([[a * b for b in W] for a in V]))],
    "kron": [("kron(x, m)", np.kron(X, M)), ("kron(v, [1, 10])", np.kron(V, [1, 10]))],
    "einsum": [
        ("einsum('ij,jk->ik', x, m)", X @ M),
        ("einsum('ij->', x)", X.sum()),
        ("einsum('i,i', v, w)", sum(V * W)),
        ("einsum('ii->i', m)", np.diag(M)),
    ],
    "tensordot": [
        ("tensordot(x, m, 1)", X @ M),
        ("tensordot(x, y)", (X * Y).sum()),
        ("tensordot(x, y, dims=[[0], [0]])", X.T @ Y),
    ],
    "trace": [("trace(m)", M[0, 0] + M[1, 1] + M[2, 2])],
    "det": [("det(m)", leibniz_determinant(M)), ("torch.linalg.det([[1, 2], [3, 4]])", -2)],
    "logdet": [("logdet(s)", math.log(leibniz_determinant(S)))],
    "slogdet": [
        ("slogdet(m)[1]", math.log(abs(leibniz_determinant(M)))),
        ("slogdet(-m)[0]", -1 if leibniz_determinant(M) > 0 else 1),
    ],
    "inv": [("inv(m)", np.linalg.inv(M)), ("inv(m) @ m", np.eye(3))],
    "solve": [("solve(m, v)", np.linalg.solve(M, V)), ("solve(A=m, B=s)", np.linalg.solve(M, S))],
    "cholesky": [("cholesky(s)", np.linalg.cholesky(S)), ("cholesky([[4]])", [[2]])],
    "diag": [
        ("diag(m)", np.diag(M)),
        ("diag(v, -1)", np.diag(V, -1)),
        ("diag(m, 1)", np.diag(M, 1)),
    ],
    "tril": [("tril(m)", np.tril(M)), ("tril(m, diagonal=-1)", np.tril(M, -1))],
    "triu": [("triu(m)", np.triu(M)), ("triu(m, 1)", np.triu(M, 1))],
    "T": [("x.T", X.T), ("v.T", V), ("2 * pi * x.T", 2 * math.pi * X.T)],
    "mT": [("c.mT", np.swapaxes(C, 1, 2))],
    "transpose": [
        ("transpose(c, 0, 2)", np.swapaxes(C, 0, 2)),
        ("transpose(x, dim0=0, dim1=1)", X.T),
    ],
    "permute": [("permute(c, [2, 0, 1])", np.transpose(C, (2, 0, 1))), ("permute(v, 0)", V)],
    "reshape": [("reshape(x, [3, -1])", X.reshape(3, 2)), ("reshape(x, 6)", X.ravel())],
    "flatten": [("flatten(x)", X.ravel()), ("flatten(c, start_dim=1)", C.reshape(2, 3))],
    "squeeze": [("squeeze(c)", C[:, 0]), ("squeeze(c, 1)", C[:, 0]), ("squeeze(x, [0, 1])", X)],
    "unsqueeze": [("unsqueeze(v, -1)", V[:, None])],
    "expand": [
        ("expand(v, 2, 3)", np.stack([V, V])),
        ("expand(5, [2])", [5, 5]),
        ("expand(v, 2, -1)", np.stack([V, V])),
    ],
    "concatenate": [
        ("concatenate([x, y])", np.concatenate([X, Y])),
        ("concatenate((x, y), dim=1)", np.concatenate([X, Y], 1)),
        ("concatenate([x > 0, k[:, None]], 1)", np.concatenate([X > 0, [[2], [0]]], 1)),
    ],
    "stack": [
        ("stack([v, w])", np.stack([V, W])),
        ("stack([v, w], -1)", np.stack([V, W], -1)),
        ("stack([1, sum(v), v[0] > 9])", [1, V.sum(), V[0] > 9]),
    ],
    "flip": [("flip(x, 1)", X[:, ::-1]), ("flip(x, [0, 1])", X[::-1, ::-1])],
    "roll": [
        ("roll(v, 1)", np.roll(V, 1)),
        ("roll(x, [1, 1], [0, 1])", np.roll(X, (1, 1), (0, 1))),
    ],
    "gather": [
        ("gather(x, 1, [[2], [0]])", [[X[0, 2]], [X[1, 0]]]),
        ("gather(v, 0, k)", [V[2], V[0]]),
    ],
    "index_select": [("index_select(x, 1, k)", X[:, [2, 0]]), ("index_select(v, 0, 1)", [V[1]])],
    "unfold": [
        ("unfold(x[None, None], 2)", unfolded(X[None, None], (2, 2))),
        (
            "unfold(c[None], [1, 2], padding=[0, 1], stride=2)",
            unfolded(C[None], (1, 2), padding=(0, 1), stride=(2, 2)),
        ),
        (
            "unfold(c[:, :, None], [1, 2], 2, [2, 1])",
            unfolded(C[:, :, None], (1, 2), (2, 2), (2, 1)),
        ),
        ("unfold(x[None], kernel_size=[2, 3])", X.reshape(6, 1)),
        ("unfold([[[[5]]]], 1)", [[[5]]]),
        (
            "unfold([[[[5]]]], 2, padding=1)",
            [[[0, 0, 0, 5], [0, 0, 5, 0], [0, 5, 0, 0], [5, 0, 0, 0]]],
        ),
        ("unfold(x[:0, None, None], 1)", np.zeros((0, 1, 3))),
    ],
    "fold": [
        ("fold(x[None], [4, 1], [2, 1])", folded(X[None], (4, 1), (2, 1))),
        ("fold(c, [1, 5], 1, stride=2)", folded(C, (1, 5), (1, 1), stride=(2, 2))),
        ("fold(m, [1, 3], [1, 3], 2, [0, 2])", folded(M[None], (1, 3), (1, 3), (1, 2), (0, 2))[0]),
        ("fold(c, output_size=[1, 3], kernel_size=1)", C[:, :, None]),
        ("fold([[[5]]], 1, 1)", [[[[5]]]]),
        ("fold(x[:0, :, None], [3, 1], [3, 1])", np.zeros((0, 1, 3, 1))),
    ],
    "one_hot": [
        ("one_hot(k, 3)", [[0, 0, 1], [1, 0, 0]]),
        ("one_hot([[1]], num_classes=2)", [[[0, 1]]]),
    ],
    "zeros": [("zeros(2, 3)", np.zeros((2, 3))), ("zeros([2])", [0, 0]), ("zeros([])", 0)],
    "ones": [("ones(2)", [1, 1]), ("torch.ones(1, 2)", [[1, 1]])],
    "arange": [
        ("arange(3)", [0, 1, 2]),
        ("arange(1, 2, 0.25)", [1, 1.25, 1.5, 1.75]),
        ("arange(5, 0, step=-2)", [5, 3, 1]),
        ("arange(0)", []),
    ],
    "eye": [("eye(2)", np.eye(2)), ("eye(2, 3)", np.eye(2, 3)), ("eye(n=1)", [[1]])],
    "zeros_like": [("zeros_like(x)", np.zeros((2, 3))), ("zeros_like(k)", [0, 0])],
    "ones_like": [("ones_like(x > 0)", np.ones((2, 3)))],
    "full_like": [("full_like(x, 0.5)", np.full((2, 3), 0.5)), ("full_like(k, 1.5)", [1.5, 1.5])],
}
CASES = [(text, expected) for examples in EXAMPLES.values() for text, expected in examples]
