"""Mistakes that the pattern of an error tells, whatever was written: from numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gradcheck.ball import Array
from gradcheck.diagnosis.evidence import Evidence, Laid
from gradcheck.results import Diagnosis
from gradcheck.verdict import Flags

LARGEST_DENOMINATOR: Final = 100
LONGEST_AXIS: Final = 64
"""Of which a permutation is looked for."""
MOST_NAMES: Final = 40
"""Of which products of two are looked at."""

_WORDS: Final = {
    Fraction(2): "twice the right value",
    Fraction(1, 2): "half of the right value",
    Fraction(3): "three times the right value",
    Fraction(1, 3): "a third of the right value",
    Fraction(1, 4): "a quarter of the right value",
}


def sign(e: Evidence) -> Iterator[Diagnosis]:
    if e.is_found(-e.truth):
        yield Diagnosis("sign", "the sign is wrong: it is minus the right value")


def constant_factor(e: Evidence) -> Iterator[Diagnosis]:
    factor = factor_of(e)
    if factor is None:
        return
    limit = float(e.limit.max() / np.abs(e.truth).max())
    text = f"it is {times(factor, limit)}, everywhere"
    for one in e.laid():
        if not is_plain(one.array):
            if e.is_same(np.ones_like(e.truth), factor * one.array):
                text += f": the factor `{one.name}` is missing"
            elif e.is_same(np.full_like(e.truth, factor), one.array):
                text += f": a factor `{one.name}` too many, or no division by it"
            else:
                continue
            break
    yield Diagnosis("constant_factor", text)


def factor_of(e: Evidence) -> float | None:
    """The number that the right value is times, where it is one, but neither 0 nor -1."""
    at = np.unravel_index(int(np.argmax(np.abs(e.truth))), e.truth.shape)
    if e.zero[at]:
        return None
    factor = float(e.found[at] / e.truth[at])
    is_it = abs(factor) > 1e-12 and abs(factor + 1) > 1e-9 and e.is_found(factor * e.truth)
    return factor if is_it else None


def times(factor: float, limit: float = 0.0) -> str:
    """`half of the right value`, `-3/4 of the right value`, `1.001 times the right value`.

    `limit` is how far off the factor may be, relatively.
    """
    limit = max(limit, 1e-9)
    exact = _fraction(factor, limit)
    if exact is None:
        square = _fraction(factor**2, 2 * limit)
        if square is None:
            return f"{factor:.7g} times the right value"
        return f"{'-' * (factor < 0)}√{square} times the right value"
    if abs(exact) in _WORDS:
        return ("minus " if exact < 0 else "") + _WORDS[abs(exact)]
    if exact.denominator == 1:
        return f"{exact} times the right value"
    return f"{exact} of the right value"


def _fraction(value: float, limit: float) -> Fraction | None:
    """The smallest one that is as near, if its denominator is small."""
    most = min(LARGEST_DENOMINATOR, max(1, int(0.1 / limit**0.5)))
    exact = Fraction(value).limit_denominator(most)
    return exact if abs(float(exact) - value) <= limit * abs(value) else None


def named_factor(e: Evidence) -> Iterator[Diagnosis]:
    """A value that the written one lacks as a factor, or has once too often."""
    yield from _factors(e, ((one.array, one.name) for one in _factor_values(e)))


def power_factor(e: Evidence) -> Iterator[Diagnosis]:
    """The same of the square of a value, or of its root."""
    for one in _factor_values(e):
        powers = [(one.array**2, f"{one.name}**2")]
        if (one.array >= 0).all():
            powers.append((np.sqrt(one.array), f"sqrt({one.name})"))
        yield from _factors(e, powers)


def _factor_values(e: Evidence) -> Iterator[Laid]:
    for one in e.laid():
        is_mask = not one.name.isidentifier() and bool(np.isin(one.array, (-1, 0, 1)).all())
        if not (is_plain(one.array) or is_mask):
            yield one


def _factors(e: Evidence, factors: Iterable[tuple[Array, str]]) -> Iterator[Diagnosis]:
    if not e.found.any():
        return
    for factor, name in factors:
        if e.is_truth(e.found * factor):
            yield Diagnosis("missing_factor", f"the factor `{name}` is missing")
        elif e.is_found(e.truth * factor):
            yield Diagnosis("extra_factor", f"the factor `{name}` is there once too often")


def is_plain(array: Array) -> bool:
    """Whether it is one number everywhere that a formula would hardly name."""
    first = array.flat[0] if array.size else 0.0
    return bool((array == first).all()) and abs(first) in (0.0, 0.5, 1.0, 2.0)


def named_term(e: Evidence) -> Iterator[Diagnosis]:
    """A value that the written one lacks as a term, or has too many."""
    yield from _terms(e, [one for one in e.laid() if one.array.any()])


def product_term(e: Evidence) -> Iterator[Diagnosis]:
    """The same of a product of two."""
    few = [one for one in e.laid() if not is_plain(one.array)][:MOST_NAMES]
    products = (
        Laid(f"{a.name}*{b.name}", a.array * b.array) for i, a in enumerate(few) for b in few[i:]
    )
    yield from _terms(e, products)


def _terms(e: Evidence, terms: Iterable[Laid]) -> Iterator[Diagnosis]:
    missing = e.truth - e.found
    for term in terms:
        for times, text in ((1, ""), (2, "2*"), (0.5, "0.5*")):
            if e.is_same(missing, times * term.array):
                yield Diagnosis("missing_term", f"the term `{text}{term.name}` is missing")
            elif e.is_same(missing, -times * term.array):
                yield Diagnosis("missing_term", f"the term `-{text}{term.name}` is missing")
                yield Diagnosis("extra_term", f"the term `{text}{term.name}` is one too many")


def transposed(e: Evidence) -> Iterator[Diagnosis]:
    for first, second in combinations(range(1, e.truth.ndim), 2):
        if e.truth.shape[first] != e.truth.shape[second]:
            continue
        swapped = np.swapaxes(e.truth, first, second)
        if e.is_found(swapped) and not e.is_truth(swapped):
            yield Diagnosis("transposed", "it is the transpose of the right value")


def permuted(e: Evidence) -> Iterator[Diagnosis]:
    for axis in range(1, e.truth.ndim):
        count = e.truth.shape[axis]
        if not 2 <= count <= LONGEST_AXIS:
            continue
        order = _order(e, axis)
        if order is not None and order != list(range(count)):
            yield Diagnosis("permuted", f"{_lines(e, axis)} stand in another order: {_how(order)}")


def shifted(e: Evidence) -> Iterator[Diagnosis]:
    """Lines that are each the one beside, but for the last."""
    for axis in range(1, e.truth.ndim):
        if not 3 <= e.truth.shape[axis] <= LONGEST_AXIS or _order(e, axis) is not None:
            continue
        truth, found = (np.moveaxis(part, axis, 1) for part in (e.truth, e.found))
        limit = np.moveaxis(e.limit, axis, 1)
        for own, beside in ((truth[:, 1:], found[:, :-1]), (truth[:, :-1], found[:, 1:])):
            is_beside = (np.abs(own - beside) <= limit).all()
            if is_beside and not (np.abs(own[:, 1:] - own[:, :-1]) <= limit).all():
                text = f"{_lines(e, axis)} are shifted by one: each is that of the one beside"
                yield Diagnosis("off_by_one_step", text)


def _order(e: Evidence, axis: int) -> list[int] | None:
    """Which line of the right value each of the written one is; None where one is none of them."""
    truth, found = (np.moveaxis(part, axis, 0) for part in (e.truth, e.found))
    limit = np.moveaxis(e.limit, axis, 0)[0]
    left = list(range(len(truth)))
    order = []
    for i, line in enumerate(found):
        alike = [j for j in left if (np.abs(line - truth[j]) <= limit).all()]
        if not alike:
            return None
        order.append(i if i in alike else alike[0])
        left.remove(order[-1])
    return order


def _how(order: list[int]) -> str:
    count = len(order)
    if order == list(range(count))[::-1] and count > 2:
        return "they are reversed"
    moved = [i for i, j in enumerate(order) if i != j]
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} are swapped"
    for shift in range(1, count):
        if order == [(i + shift) % count for i in range(count)]:
            return f"they are rolled by {shift}"
    return ", ".join(map(str, order))


def _lines(e: Evidence, axis: int) -> str:
    """What the lines along an axis are called."""
    own = axis - 1
    if own < e.outputs:
        return "its rows" if len(e.shape) > e.outputs or e.outputs > 1 else "its entries"
    inputs = len(e.shape) - e.outputs
    if inputs == 1:
        return "its columns" if e.outputs else "its entries"
    return ("its rows", "its columns")[own - e.outputs] if inputs == 2 else f"axis {own}"


def reduction(e: Evidence) -> Iterator[Diagnosis]:
    """A sum, or a mean, over an axis where there is to be none."""
    if not e.found.any():
        return
    for axis in range(1, e.truth.ndim):
        if e.truth.shape[axis] < 2 or not (np.count_nonzero(e.truth, axis=axis) > 1).any():
            continue
        for name, reduce in (("sum", np.sum), ("mean", np.mean)):
            mean = np.broadcast_to(np.mean(e.truth, axis, keepdims=True), e.truth.shape)
            reduced = np.broadcast_to(reduce(e.truth, axis, keepdims=True), e.truth.shape)
            if e.is_found(reduced) and not e.is_truth(mean):
                what = f"a {name} over axis {axis - 1} where none belongs"
                yield Diagnosis("reduction", f"there is {what}")


def sign_where(e: Evidence) -> Iterator[Diagnosis]:
    wrong = e.wrong
    if not wrong.any() or not e.is_same(np.abs(e.found), np.abs(e.truth)) or wrong.all():
        return
    told = ~e.zero
    for one in e.laid():
        for condition, word in ((one.array < 0, "negative"), (one.array > 0, "positive")):
            if (condition[told] == wrong[told]).all():
                text = f"the sign is wrong where `{one.name}` is {word}"
                yield Diagnosis("sign_where_negative", text)


def sign_somewhere(e: Evidence) -> Iterator[Diagnosis]:
    """The right size with the wrong sign, where no value says."""
    if e.is_same(np.abs(e.found), np.abs(e.truth)) and not (e.wrong | e.zero).all():
        yield Diagnosis("sign_where_negative", "its size is right, its sign is not everywhere")


def outside(e: Evidence) -> Iterator[Diagnosis]:
    """What is right but where the function has made another choice."""
    wrong = e.wrong
    if not wrong.any() or wrong.all():
        return
    for text, condition in _conditions(e):
        for where, there in ((f"`{text}`", condition), (f"`{text}` is not", ~condition)):
            if (~there & wrong).any() or not (there & wrong).any():
                continue
            if not (~there & ~e.zero).any():
                continue  # nothing else was to be right
            telling = there & ~(e.zero & (np.abs(e.found) <= e.limit))
            if not (wrong[telling]).all():
                continue
            if (np.abs(e.found[telling]) <= np.broadcast_to(e.limit, wrong.shape)[telling]).all():
                lost = f"it is 0 where {where} true, and right elsewhere: a term is lost there"
                yield Diagnosis("lost_outside", _said(lost))
            elif e.zero[telling].all():
                kept = f"it is to be 0 where {where} true, and is right elsewhere"
                yield Diagnosis("lost_outside", _said(kept))


def _said(text: str) -> str:
    return text.replace("` true", "` is true")


def _conditions(e: Evidence) -> Iterator[tuple[str, Flags]]:
    yield from e.laid_conditions()
    for one in e.laid():
        for text, flags in (("> 0", one.array > 0), ("< 0", one.array < 0)):
            if flags.any() and not flags.all():
                yield f"{one.name} {text}", flags


def region(e: Evidence) -> Iterator[Diagnosis]:
    """One row, one column, one block, or one entry that is wrong."""
    wrong: Flags = np.asarray(e.wrong.any(axis=0))
    if not wrong.any() or wrong.all() or wrong.size < 2:
        return
    at = np.argwhere(wrong)
    low, high = at.min(axis=0), at.max(axis=0)
    if len(at) == 1:
        index = ", ".join(map(str, at[0]))
        yield Diagnosis("entry", f"only the entry [{index}] is wrong")
        return
    for axis in range(wrong.ndim):
        if low[axis] == high[axis] and wrong.ndim > 1 and wrong.shape[axis] > 1:
            lines = _lines(e, axis + 1).removeprefix("its ").removesuffix("s")
            kind = lines if lines in ("row", "column") else "block"
            where = f"{lines} {low[axis]}" if kind != "block" else f"index {low[axis]} of {lines}"
            yield Diagnosis(kind, f"only {where} is wrong")
            return
    box, ranges = _box(low, high)
    restricted = sum(wrong[box].shape[axis] < wrong.shape[axis] for axis in range(wrong.ndim))
    is_slab = wrong.ndim > 1 and restricted == 1
    if wrong[box].all() and (is_slab or 2 * wrong[box].size <= wrong.size):
        yield Diagnosis("block", f"only the block [{ranges}] is wrong")


def block(e: Evidence) -> Iterator[Diagnosis]:
    """A block in which most is wrong, and nothing elsewhere."""
    wrong: Flags = np.asarray(e.wrong.any(axis=0))
    at = np.argwhere(wrong)
    box, ranges = _box(at.min(axis=0), at.max(axis=0))
    if 2 * wrong[box].size <= wrong.size and 2 * len(at) >= wrong[box].size:
        yield Diagnosis("block", f"only entries of the block [{ranges}] are wrong")


def _box(low: NDArray[Any], high: NDArray[Any]) -> tuple[tuple[slice, ...], str]:
    """The entries from one to another, and how they are written."""
    pairs = list(zip(low, high, strict=True))
    return tuple(slice(a, b + 1) for a, b in pairs), ", ".join(f"{a}:{b + 1}" for a, b in pairs)


def mask(e: Evidence) -> Iterator[Diagnosis]:
    """What is right but where it, or the right value, is 0."""
    wrong = e.wrong
    if wrong.all() or not (~wrong & ~e.zero).any():
        return
    if e.zero[wrong].all():
        text = (
            "it is right where the right value is not 0, and not 0 elsewhere: a mask is forgotten"
        )
        yield Diagnosis("lost_outside", text)
    elif (np.abs(e.found[wrong]) <= np.broadcast_to(e.limit, wrong.shape)[wrong]).all():
        text = "it is right where it is not 0: a term is lost elsewhere"
        yield Diagnosis("lost_outside", text)


def one_case(e: Evidence) -> Iterator[Diagnosis]:
    """What is right in one of two cases alone."""
    wrong = e.wrong
    for text, condition in e.laid_conditions():
        for where, there in ((f"`{text}` is", condition), (f"`{text}` is not", ~condition)):
            if (wrong == there)[~e.zero].all() and wrong.any() and (~wrong & ~e.zero).any():
                yield Diagnosis("lost_outside", f"it is right but where {where} true")


Pattern = Callable[[Evidence], Iterator[Diagnosis]]
_STRONG: Final[tuple[Pattern, ...]] = (
    sign,
    transposed,
    constant_factor,
    named_factor,
    reduction,
    permuted,
    shifted,
)
_WEAK: Final[tuple[Pattern, ...]] = (
    power_factor,
    product_term,
    mask,
    one_case,
    sign_somewhere,
    block,
)


def patterns(e: Evidence) -> Iterator[Diagnosis]:
    """All that fits; of an elementwise derivative, what fits its diagonal too."""
    if not e.wrong.any():
        return
    found = list(region(e))
    yield from found
    yield from _all(e, _STRONG)
    if found:
        # Where just a part is wrong, something or other has another sign there by chance.
        own = {name: value for name, value in e.values.items() if name.isidentifier()}
        yield from _all(replace(e, values=own), (sign_where,))
        turning = {name: value for name, value in own.items() if _turns(value)}
        yield from _all(replace(e, values=turning), (outside,))
    else:
        yield from _all(e, (sign_where, outside, named_term))


def _turns(value: Array) -> bool:
    """Whether its entries have other signs at other points."""
    return bool(((value > 0) != (value[:1] > 0)).any()) or len(value) == 1


def weak_patterns(e: Evidence) -> Iterator[Diagnosis]:
    """What fits more by chance, for where nothing else does."""
    if e.wrong.any():
        yield from _all(e, _WEAK)


def _all(e: Evidence, listed: Iterable[Pattern]) -> Iterator[Diagnosis]:
    diagonal = e.diagonal()
    for one in (e,) if diagonal is None else (e, diagonal):
        for pattern in listed:
            yield from pattern(one)
