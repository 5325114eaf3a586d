"""The functions that scripts bring along."""

from __future__ import annotations

from typing import Final

_COLUMNS: Final = """\
    columns = []
    for i in range(x.numel()):
        step = torch.zeros_like(x).flatten()
        step[i] = h * max(1.0, abs(float(x.flatten()[i])))
        step = step.reshape(x.shape)
        columns.append((function(x + step) - function(x - step)) / (2 * step.sum()))
"""
_JACOBIAN: Final = "    return torch.stack(columns, -1).reshape(columns[0].shape + x.shape)"

DIFFERENCES: Final = f'''\
def differences(function, x, h=1e-6):
    """The Jacobian of a function at x by central differences."""
{_COLUMNS}{_JACOBIAN}'''

DIFFERENCES_PAST_CONSTANTS: Final = f'''\
kept, moving = [], False


def detach(value):
    """The value as a constant: what it is at the point, also where the point is moved."""
    kept.append(kept.pop(0) if moving else value.detach())
    return kept[-1]


def differences(function, x, h=1e-6):
    """The Jacobian of a function at x by central differences."""
    global moving
    kept.clear()
    function(x)
    moving = True
{_COLUMNS}    moving = False
{_JACOBIAN}'''

_ANSWERS: Final = """\
def show(quantity, **answers):
    print(quantity)
    for name, value in answers.items():
        print(f"{name}:", value, sep="\\n" if value.ndim else " ")
    autograd = answers.pop("autograd")
    for name, value in answers.items():
"""
_SHAPES: Final = """\
        if value.shape != autograd.shape:
            print(f"{name} has shape {list(value.shape)}, autograd {list(autograd.shape)}")
            continue
"""
_DIFFERENCE: Final = """\
        difference = (value.double() - autograd.double()).abs().max()
        print(f"largest difference, {name} - autograd: {difference:.2g}")"""

SHOW: Final = _ANSWERS + _DIFFERENCE
SHOW_SHAPES: Final = _ANSWERS + _SHAPES + _DIFFERENCE
"""Where some value has a shape that no difference can be taken of."""

CHOLESKY: Final = '''\
def cholesky(x):
    """The factor of the symmetric part."""
    return torch.linalg.cholesky((x + x.mT) / 2)'''
