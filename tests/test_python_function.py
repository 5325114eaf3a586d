"""A Python function as a map from real numbers to real numbers."""

import numpy as np
import pytest
import torch

from gradcheck.errors import ChangedOutputError, UsageError
from gradcheck.python_function import PythonFunction

X = torch.tensor([0.3, -1.2], dtype=torch.float64)
Z = torch.tensor([0.3 - 0.4j, 1.1 + 0.2j], dtype=torch.complex128)


def jacobian(function):
    return function.graph.jacobian().numpy()


def test_a_complex_number_is_two_real_ones():
    function = PythonFunction(lambda z: z**2, Z)
    assert function.point.tolist() == [0.3, -0.4, 1.1, 0.2]
    assert torch.equal(function.real(function.point), torch.view_as_real(Z**2).reshape(-1))


def test_the_jacobian_of_a_holomorphic_function_is_a_rotation_and_a_stretch():
    slope = 2 * Z[0]
    a, b = slope.real.item(), slope.imag.item()
    np.testing.assert_allclose(jacobian(PythonFunction(lambda z: z**2, Z[:1])), [[a, -b], [b, a]])


@pytest.mark.parametrize("size", [1, 8, 9, 300], ids="{} outputs".format)
def test_the_jacobian_has_the_gradient_of_each_output_whether_batched_or_not(size):
    matrix = torch.arange(2.0 * size, dtype=torch.float64).reshape(size, 2)
    np.testing.assert_array_equal(jacobian(PythonFunction(lambda x: matrix @ x, X)), matrix)


def test_outputs_and_inputs_follow_each_other():
    function = PythonFunction(lambda a, b: (a * 2, b.sum()), (X, X.outer(X)))
    expected = np.zeros((3, 6))
    expected[:2, :2] = 2 * np.eye(2)
    expected[2, 2:] = 1
    np.testing.assert_array_equal(jacobian(function), expected)
    u = [torch.tensor([1.0, 2.0], dtype=X.dtype), torch.tensor(3.0, dtype=X.dtype)]
    assert function.graph.vjp(u).tolist() == [2, 4, 3, 3, 3, 3]


def test_it_is_evaluated_at_other_points_under_vmap():
    function = PythonFunction(lambda d, n: {"y": d["x"].sin() * n}, ({"x": X}, 3))
    points = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.func.vmap(function.real)(points), points.sin() * 3)


def test_all_that_a_function_is_given_is_new():
    kept = torch.zeros(2, dtype=torch.int64)

    def function(x, k):
        k += 1
        return x.add_(1) * k

    at = PythonFunction(function, (X.clone(), kept))
    assert torch.equal(at.real(at.point.clone()), X + 1)
    assert torch.equal(at.value(), X + 1)
    assert torch.equal(at.point, X)
    assert kept.tolist() == [0, 0]


def named(function, inputs):
    return [leaf.name for leaf in PythonFunction(function, inputs).inputs]


def test_names_of_inputs():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return 2 * value

    assert named(lambda x: x, X) == ["x"]
    assert named(lambda *x: x[1], (X, X)) == ["args[0]", "args[1]"]
    assert named(torch.sin, X) == ["args[0]"]
    assert named(torch.nn.Linear(2, 1).double(), X) == ["input", "weight", "bias"]
    assert named(Double.apply, X) == ["value"]
    assert named(lambda a: a[0], ([X, {"w": X}],)) == ["a[0]", "a[1]['w']"]
    assert named(lambda b: b, {"b": X}) == ["b"]


def test_what_is_no_tensor_of_numbers_is_constant():
    function = PythonFunction(lambda x, *_: x, (X, 3, None, "mean", X > 0, X.long(), 2.0))
    assert [leaf.name for leaf in function.inputs] == ["x"]
    with pytest.raises(UsageError, match="nothing to differentiate by"):
        PythonFunction(lambda n: n, (3, X > 0))


def test_results_that_are_no_tensors_of_numbers_are_no_outputs():
    function = PythonFunction(lambda x: (x.argmax(), x, 3, None), X)
    assert [leaf.name for leaf in function.outputs] == ["out[1]"]


def test_results_that_torch_does_not_track_are_no_outputs_beside_others():
    function = PythonFunction(lambda x: (x, x.detach()), X)
    assert [leaf.name for leaf in function.outputs] == ["out[0]"]
    assert function.untracked == ["out[1]"]
    assert PythonFunction(lambda x: x.detach(), X).outputs[0].name == "out"


CHANGES = {
    "a shape": (lambda x: x[x > 0.2], "out has shape [1] and float64 at the point, shape [0]"),
    "a dtype": (
        lambda x: x if x[0] == 0.3 else x.float(),
        "shape [2] and float32 at another evaluation",
    ),
    "a number": (
        lambda x: (x,) * (2 if x[0] == 0.3 else 1),
        "2 results at the point, 1 at another evaluation",
    ),
}


@pytest.mark.parametrize(("function", "message"), CHANGES.values(), ids=CHANGES)
def test_an_output_that_changes(function, message):
    at = PythonFunction(function, X)
    with pytest.raises(ChangedOutputError) as caught:
        at.real(torch.zeros(2, dtype=torch.float64))
    assert message in str(caught.value)


def test_a_float32_function_is_widened_with_its_constants():
    constant = torch.tensor([0.1, 0.2])
    function = PythonFunction(lambda x, c: x.sin() * c, (X.float().requires_grad_(), constant))
    assert function.dtype == torch.float32
    assert function.precision == torch.float64
    # The constant is the number that float32 holds.
    point = function.point
    assert torch.equal(function.real(point), point.sin() * constant.double())


NARROW = {
    "raises in float64": lambda x: x.sin() if x.dtype == torch.float32 else x.no_such_method(),
    "another in float64": lambda x: x.sin() if x.dtype == torch.float32 else x.cos(),
    "back to float32": lambda x: x.float().sin(),
}


@pytest.mark.parametrize("function", NARROW.values(), ids=NARROW)
def test_a_function_that_float64_changes_stays_in_float32(function):
    at = PythonFunction(function, X.float())
    assert at.precision == torch.float32
    assert torch.equal(at.real(at.point), X.float().sin().double())


def test_inputs_that_a_function_reads_from_around_it_are_moved_there():
    weight = torch.nn.Parameter(X.clone())
    function = PythonFunction(lambda x, w: x * weight, (X.clone().requires_grad_(), weight))
    point = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    assert function.real(point).tolist() == [3.0, 8.0]
    assert torch.equal(weight, X)
    np.testing.assert_array_equal(jacobian(function)[:, 2:], np.diag(X))


DENSE = torch.tensor([[1.0, 0, 0, 2], [0, 3, 0, 0]], dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", ["coo", "csr", "csc", "bsr", "bsc"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_entries_of_a_sparse_input(name, masked):
    blocks = {"blocksize": (1, 2)} if name.startswith("b") else {}
    sparse = DENSE.to_sparse(layout=getattr(torch, f"sparse_{name}"), **blocks)
    function = PythonFunction(lambda x: x.to_dense(), sparse, masked=masked)
    (leaf,) = function.inputs
    specified = sparse.values().numel() if name != "coo" else 3
    assert leaf.count == (specified if masked else DENSE.numel())
    assert torch.equal(function.real(function.point), DENSE.reshape(-1))
    # An entry's label says where in the dense tensor it stands.
    moved = function.point.clone()
    moved[-1] += 1
    (at,) = np.argwhere((function.real(moved).reshape(2, 4) != DENSE).numpy())
    assert leaf.label((leaf.count - 1,)) == f"x[{at[0]}, {at[1]}]"


def test_an_element_that_a_sparse_input_has_twice():
    indices = torch.tensor([[0, 0], [1, 1]])
    sparse = torch.sparse_coo_tensor(indices, torch.tensor([1.0, 2.0], dtype=X.dtype), (2, 2))
    function = PythonFunction(lambda x: x.to_dense(), sparse, masked=True)
    assert function.point.tolist() == [1.0, 2.0]
    assert function.real(function.point).tolist() == [0.0, 3.0, 0.0, 0.0]


def test_a_sparse_output_is_seen_as_dense():
    function = PythonFunction(lambda x: torch.diag(x).to_sparse(), X)
    assert function.real(function.point).tolist() == [0.3, 0.0, 0.0, -1.2]
    assert jacobian(function).tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]
