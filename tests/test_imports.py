"""What a case may import: what is allowed and no more, and what is said where it cannot be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.casefile.kernel import Import, Kernel
from gradcheck.errors import (
    ForbiddenImportError,
    GradcheckError,
    ImportFailedError,
    UsageError,
    UserImportError,
)
from gradcheck.imports import Imports

ROOT = Path(__file__).parent.parent


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes modules of a package `mykernels` into the folder that it returns."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(**texts):
        folder = tmp_path / "mykernels"
        folder.mkdir()
        for name, text in {"__init__": "", **texts}.items():
            (folder / f"{name}.py").write_text(text)
        return str(tmp_path)

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "mykernels"]:
        del sys.modules[name]


def load(folder, what, *allowed):
    module, _, name = what.partition(":")
    return Imports.of(allowed or ["mykernels"], folder).load(Import(module, name))


def message(kind, folder, what, *allowed):
    with pytest.raises(kind) as raised:
        load(folder, what, *allowed)
    return str(raised.value)


NORM = """
class Norm:
    @staticmethod
    def apply(x):
        return 2*x

def rms_norm(x):
    return x

EPS = 1e-6
"""


def test_what_stands_in_an_allowed_module_is_loaded(package):
    folder = package(norm=NORM)
    assert load(folder, "mykernels.norm:rms_norm")(3) == 3
    assert load(folder, "mykernels.norm:Norm.apply")(3) == 6


@pytest.mark.parametrize(
    ("allowed", "module", "is_allowed"),
    [
        ("mykernels", "mykernels", True),
        ("mykernels", "mykernels.norm", True),
        ("mykernels", "mykernels.norm.fast", True),
        ("mykernels", "mykernels2", False),
        ("mykernels", "my", False),
        ("mykernels.norm", "mykernels.norm", True),
        ("mykernels.norm", "mykernels.norm.fast", True),
        ("mykernels.norm", "mykernels.normal", False),
        ("mykernels.norm", "mykernels", False),
        ("", "mykernels", False),
    ],
)
def test_a_module_is_allowed_with_all_below_it(allowed, module, is_allowed):
    imports = Imports.of([allowed] if allowed else [], "/nowhere")
    # Nothing of that name exists: what is allowed is looked for, and not found.
    with pytest.raises(UserImportError) as raised:
        imports.load(Import(module, "f"))
    assert isinstance(raised.value, ImportFailedError) == is_allowed


def test_what_is_not_allowed_is_not_imported_and_the_option_is_told(package):
    folder = package(norm="raise SystemError('imported')")
    assert message(ForbiddenImportError, folder, "mykernels.norm:f", "other") == (
        "`mykernels.norm` may not be imported: allow it with --allow-import mykernels.norm "
        "(in pytest --gradcheck-allow-import, or gradcheck_allow_import in the ini file)"
    )
    assert "mykernels" not in sys.modules
    assert issubclass(ForbiddenImportError, GradcheckError)


def test_a_dotted_name_leads_into_no_other_module(package):
    folder = package(norm="import os\nfrom mykernels import other\n", other="def f(x): return x\n")
    assert message(ForbiddenImportError, folder, "mykernels.norm:os.system").startswith(
        "`os` may not be imported: allow it with --allow-import os "
    )
    assert load(folder, "mykernels.norm:other.f")(1) == 1


IMPORTING = """
import functools
import torch
from os import makedirs
from pathlib import Path
from torch.nn import Linear
from mykernels.norm import rms_norm

path = Path("x")
tensor = torch.ones(2)
partial = functools.partial(makedirs, exist_ok=True)
linear = Linear(2, 2)
batched = torch.func.vmap(rms_norm)
cached = functools.lru_cache(rms_norm)


def decorated(function):
    @functools.wraps(function)
    def call(x):
        return function(x)

    return call


@decorated
@torch.no_grad()
def own(x):
    return x


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2*x


apply = Double.apply


class Net(torch.nn.Module):
    def forward(self, x):
        return x


net = Net()
method = net.forward


@torch.library.custom_op("gradcheck_imports::twice", mutates_args=())
def operator(x: torch.Tensor) -> torch.Tensor:
    return 2*x


overload = torch.ops.gradcheck_imports.twice
"""


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("makedirs", "os"),
        ("makedirs.__call__", "os"),
        ("partial.func", "os"),
        ("Path", "pathlib"),
        ("Path.cwd", "pathlib"),
        ("path.unlink", "pathlib"),
        ("Linear", "torch.nn.modules.linear"),
        ("linear.forward", "torch.nn.modules.linear"),
        ("tensor.numpy", "torch"),
        ("own.__globals__.clear", "builtins"),
        ("own.__class__", "builtins"),
    ],
)
def test_what_a_module_merely_imports_is_not_allowed_with_it(package, name, home):
    folder = package(norm=NORM, run=IMPORTING)
    assert message(ForbiddenImportError, folder, f"mykernels.run:{name}") == (
        f"`mykernels.run:{name}` is of `{home}`, which may not be imported: allow it with "
        f"--allow-import {home} (in pytest --gradcheck-allow-import, or gradcheck_allow_import in "
        "the ini file)"
    )


def test_what_is_made_in_a_module_is_its_own(package):
    folder = package(norm=NORM, run=IMPORTING)
    made = "rms_norm partial linear batched cached own Double Double.apply apply Net net"
    for name in (*made.split(), "method", "net.forward", "operator", "overload"):
        assert callable(load(folder, f"mykernels.run:{name}")), name
    assert callable(load(folder, "mykernels.run:makedirs", "mykernels", "os"))


def test_what_a_package_takes_from_below_it_is_its_own(package):
    folder = package(norm=NORM, run="from mykernels.norm import rms_norm\n")
    assert load(folder, "mykernels.run:rms_norm", "mykernels.run", "mykernels.norm")(3) == 3
    told = message(ForbiddenImportError, folder, "mykernels.run:rms_norm", "mykernels.run")
    assert told.startswith("`mykernels.run:rms_norm` is of `mykernels.norm`, which may not be ")


def test_a_kernel_needs_the_module_too_that_it_is_written_in(package):
    folder = package(norm=NORM, run="from os import makedirs\n")
    load(folder, "mykernels.run:makedirs", "mykernels", "os")
    imports = Imports.of(["mykernels", "os", "sys"], folder)
    assert imports.needed(Kernel(Import("mykernels.run", "makedirs"))) == ("mykernels", "os")


def test_a_missing_module_is_told_with_one_that_is_spelled_alike(package):
    folder = package(norm=NORM)
    assert message(ImportFailedError, folder, "mykernels.nrm:f") == (
        "there is no module `mykernels.nrm`: did you mean `mykernels.norm`?"
    )
    assert message(ImportFailedError, folder, "mykernel.norm:f", "mykernel") == (
        "there is no module `mykernel`: did you mean `mykernels`?"
    )
    assert message(ImportFailedError, folder, "qqq.norm:f", "qqq") == (
        f"there is no module `qqq` in {folder}, nor elsewhere that Python looks"
    )


def test_a_missing_name_is_told_with_one_that_is_spelled_alike(package):
    folder = package(norm=NORM)
    assert message(ImportFailedError, folder, "mykernels.norm:rms_nrm") == (
        "`mykernels.norm` has no `rms_nrm`: did you mean `rms_norm`?"
    )
    assert message(ImportFailedError, folder, "mykernels.norm:Norm.aply") == (
        "`mykernels.norm.Norm` has no `aply`: did you mean `apply`?"
    )
    assert message(ImportFailedError, folder, "mykernels.norm:qqq") == (
        "`mykernels.norm` has no `qqq`"
    )


def test_what_cannot_be_called_is_no_function(package):
    folder = package(norm=NORM)
    assert message(ImportFailedError, folder, "mykernels.norm:EPS") == (
        "`mykernels.norm:EPS` is no function: it is of type float"
    )
    load(folder, "mykernels.norm:Norm")
    assert message(ImportFailedError, folder, "mykernels:norm") == (
        "`mykernels:norm` is no function: it is of type module"
    )


def test_an_exception_in_the_module_is_shown_with_the_users_own_lines(package):
    folder = package(
        norm="from mykernels import inner\n",
        inner="import importlib\n\nimportlib.import_module('mykernels.last')\n",
        last="def fail():\n    raise ValueError('no GPU')\n\nfail()\n",
    )
    assert message(ImportFailedError, folder, "mykernels.norm:f") == (
        f"`mykernels.norm` cannot be imported: ValueError: no GPU, "
        f"from {folder}/mykernels/last.py:2 in fail, "
        f"from {folder}/mykernels/last.py:4 in <module>, "
        f"from {folder}/mykernels/inner.py:3 in <module>"
    )


def test_a_module_that_is_missing_inside_of_an_allowed_one_is_told(package):
    folder = package(norm="import qqq_triton\n")
    assert message(ImportFailedError, folder, "mykernels.norm:f") == (
        "`mykernels.norm` cannot be imported: ModuleNotFoundError: No module named 'qqq_triton', "
        f"from {folder}/mykernels/norm.py:1 in <module>"
    )


def test_a_module_that_exits_ends_nothing(package):
    folder = package(norm="import sys\nsys.exit(3)\n")
    assert message(ImportFailedError, folder, "mykernels.norm:f") == (
        "`mykernels.norm` cannot be imported: SystemExit: 3, "
        f"from {folder}/mykernels/norm.py:2 in <module>"
    )


def test_an_interrupt_is_let_through(package):
    folder = package(norm="raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(folder, "mykernels.norm:f")


def test_an_attribute_that_raises_is_told(package):
    folder = package(norm="def __getattr__(name):\n    raise RuntimeError(name)\n")
    assert message(ImportFailedError, folder, "mykernels.norm:lazy") == (
        "`mykernels.norm.lazy` cannot be imported: RuntimeError: lazy, "
        f"from {folder}/mykernels/norm.py:2 in __getattr__"
    )


def test_the_folder_is_looked_in_first_and_put_there_once(package):
    folder = package(norm=NORM)
    imports = Imports.of(["mykernels"], folder)
    for name in ("Norm", "rms_norm"):
        imports.load(Import("mykernels.norm", name))
    assert sys.path[0] == folder
    assert sys.path.count(folder) == 1


@pytest.mark.parametrize("name", ["mykernels/norm.py", "mykernels.", "", "a b"])
def test_a_module_is_allowed_by_its_name(name):
    with pytest.raises(UsageError) as raised:
        Imports.of([name], "")
    assert str(raised.value) == f"`{name}` names no module: write it as in mykernels.norm"


def test_a_kernel_needs_those_of_the_allowed_modules_that_it_names():
    kernel = Kernel(Import("a.b", "f"), backward=Import("c", "g"))
    assert Imports.of(["a", "a.b", "c.d", "e", "c"], "").needed(kernel) == ("a", "a.b", "c")


def test_all_that_is_not_to_be_had_is_told_once_with_its_line(package):
    folder = package(norm=NORM)
    kernel = Kernel(
        Import("other", "f", 3),
        backward=Import("other", "g", 4),
        jvp=Import("mykernels.norm", "nothing", 5),
        derivatives={"x": (Import("mykernels.norm", "rms_norm", 6),)},
    )
    problems = Imports.of(["mykernels"], folder).problems(kernel)
    assert [(text.split(":")[0], line) for text, line in problems.items()] == [
        ("`other` may not be imported", 3),
        ("`mykernels.norm` has no `nothing`", 5),
    ]


def test_what_may_be_imported_is_known_without_torch():
    code = (
        "import sys; from gradcheck.imports import Imports; Imports.of(['a.b'], '.');"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert done.returncode == 0
