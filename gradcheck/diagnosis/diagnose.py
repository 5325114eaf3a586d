"""A wrong formula → what mistake it looks like."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from itertools import chain, islice, permutations, repeat, zip_longest
from typing import Any, Final, TypeVar

import numpy as np

from gradcheck.ball import Array
from gradcheck.claims import Claim, RecurrentFormula, Written
from gradcheck.diagnosis.choosing import PLACES, best
from gradcheck.diagnosis.companions import companions
from gradcheck.diagnosis.constants import root, short
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.diagnosis.patterns import factor_of, mask, one_case, patterns, weak_patterns
from gradcheck.diagnosis.repairs import Repair, Surroundings, changes, insertions
from gradcheck.diagnosis.suspect import Suspect
from gradcheck.diagnosis.terms import missing_factors, missing_terms
from gradcheck.diagnosis.uses import uses, without, without_value
from gradcheck.functions import Recurrence, Step
from gradcheck.language.editing import Editor, Part, all_instead, binary, named, negative, number
from gradcheck.language.expression import Expression
from gradcheck.language.tree import Call, Index, Name, Node, Number, values_of
from gradcheck.lines import Line, PassFormula, Sweep, repeated
from gradcheck.modes import PARAMETER
from gradcheck.place import Place
from gradcheck.results import Diagnosis
from gradcheck.second_claim import SecondClaim
from gradcheck.sites import own_expressions, replaced

MOST_OPERATIONS: Final = 200_000
"""That trying changes of a formula may take, twice: about a second each."""
FEWEST: Final = 2
"""Numbers that are not 0 in a derivative which is looked at in one point alone."""


def diagnose(
    place: Place, claim: Claim | SecondClaim, written: Written, root: str = ""
) -> tuple[Diagnosis, ...]:
    """What mistake a wrong way of writing a claim's derivative looks like, likeliest first.

    Empty where nothing fits. Torch's own derivative has to be right. `root` is a wrong derivative
    that it uses: what is right but for that is its consequence.
    """
    if place.is_complex:
        return ()
    suspect = Suspect(place, claim, written)
    search = _Search(suspect)
    if search.evidence is not None and not search.evidence.wrong.any():
        text = f"it is right by itself, but it uses `{root}`, which is wrong: look there first"
        return (Diagnosis("consequence", text),) if root else ()
    if not suspect.spots:
        return ()
    found: list[Diagnosis] = []
    if suspect.has_constants:
        # A constant may be any number: by chance it is what would make a formula right.
        search = _Search(Suspect(place, claim, written, moved="constants"))
        found = search.found()
    if not found:
        search = _Search(suspect)
        found = search.found() or list(search.weak())
    if not found:
        # What has two mistakes, or a number that belongs to its point, is told where it stands.
        search = _Search(Suspect(place, claim, written, moved="nothing"))
        found = search.told_at_its_point()
    # Where only one line is wrong, that is said first, unless something says why.
    says_why = {"sign_where_negative", "lost_outside", "transposed"}
    first: Collection[str] = PLACES
    if written.is_stepwise:
        first = ("off_by_one_step",)
    elif any(one.kind in says_why for one in found):
        first = ()
    return best(search.with_step(found), first)


_T = TypeVar("_T")
_FACTORS: Final = {"missing_factor", "extra_factor", "sign_where_negative"}
_SIMPLER: Final = {
    *("extra_factor", "extra_term", "wrong_constant", "wrong_sign_of_a_term", "reduction")
}
"""Where such a change makes it right, a factor that does so too is there by chance."""
_CHOOSING: Final = ("where", "clamp", "relu", "maximum", "minimum")
_LIKE_A_MASK: Final = {
    *("missing_factor", "extra_factor", "wrong_name", "missing_term", "sign_where_negative")
}
"""Kinds of changes that do what a mask does, by what happens to be 0 there."""


class _Search:
    def __init__(self, suspect: Suspect) -> None:
        self.suspect = suspect
        self.claim = suspect.claim
        self.written = suspect.written
        self.evidence = suspect.evidence(suspect.written)
        self._meant: dict[Diagnosis, Diagnosis] = {}

    def found(self) -> list[Diagnosis]:
        """All that fits."""
        changed = list(self._mended(changes))
        kinds = {one.kind for one in changed}
        constants = [] if kinds & {"extra_term", "reduction"} else list(self._constants())
        found = [*changed, *constants]
        kinds |= {one.kind for one in constants}
        forgotten = []
        if self.evidence is not None and isinstance(self.claim, Claim):
            forgotten = list(self._forgotten(self.evidence, self.claim))
        for one in (*self._of_values(), *forgotten):
            if not self._is_by_chance(one, kinds, forgotten):
                found.append(one)
        kinds = {one.kind for one in found}
        for one in self._mended(insertions):
            if not self._is_needless(one, kinds) and not self._is_by_chance(one, kinds, forgotten):
                found.append(one)
        if "wrong_constant" in {one.kind for one in found}:
            found = [
                one
                for one in found
                if one.kind not in _FACTORS or _first_name(one.text).isidentifier()
            ]
        # Where no term of the formula is too many, what it lacks has the other sign.
        has_too_many = any(one.kind == "extra_term" for one in changed)
        found = [one for one in found if one.kind != "extra_term" or has_too_many]
        kinds = {one.kind for one in found}
        if self.evidence is not None and kinds.isdisjoint(PLACES):
            masked = [] if "lost_outside" in kinds else list(mask(self.evidence))
            if masked or "lost_outside" in kinds:
                found = [one for one in found if one.kind not in _LIKE_A_MASK]
            found += masked
        if {one.kind for one in found} <= {"wrong_name", *PLACES}:
            told = [] if self.evidence is None else list(one_case(self.evidence))
            found = told or [self._meant.get(one, one) for one in found]
        return found

    def told_at_its_point(self) -> list[Diagnosis]:
        """What fits there, where several numbers of the derivative say so."""
        is_telling = self.evidence is not None and np.count_nonzero(self.evidence.truth) >= FEWEST
        if not is_telling or self.suspect.cost > MOST_OPERATIONS // 2048:
            return []
        return [*self._mended(changes), *self._constants()]

    def weak(self) -> Iterator[Diagnosis]:
        """What says little, for where nothing else fits."""
        if self.evidence is not None:
            if isinstance(self.claim, Claim):
                yield from self._without_values(self.evidence, self.claim)
            more = self._companions()
            terms = list(missing_terms(self.evidence, more))
            yield from terms or missing_factors(self.evidence, more)
            for one in weak_patterns(self.evidence):
                if one.kind != "extra_term":  # what a formula lacks has the other sign
                    yield one

    def _as_division(self, one: Diagnosis) -> Diagnosis:
        """A factor too many that no formula has: a division that it lacks."""
        name = _first_name(one.text)
        texts = (expression.text for expression in self._open)
        if one.kind != "extra_factor" or any(name in text for text in texts):
            return one
        return Diagnosis("extra_factor", f"a division by `{name}` is missing")

    def _is_needless(self, one: Diagnosis, kinds: set[str]) -> bool:
        """Whether an insertion does what a change of what is there, or a place, tells better."""
        if one.kind in _FACTORS:
            return not kinds.isdisjoint({*_SIMPLER, *PLACES})
        return one.kind == "transposed" and "reduction" in kinds

    def _is_by_chance(
        self, one: Diagnosis, kinds: Collection[str], forgotten: Collection[Diagnosis]
    ) -> bool:
        """Whether it is a factor that something simpler makes needless.

        What is right without a part lacks nothing, though a factor would undo that part; what lacks
        a path is no product with a link, or with a part of the function.
        """
        if one.kind not in ("missing_factor", "extra_factor"):
            return False
        if one.kind == "missing_factor" and "extra_factor" in kinds:
            return True
        is_simpler = bool(forgotten) or "wrong_constant" in kinds
        return is_simpler and not _first_name(one.text).isidentifier()

    def with_step(self, found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
        """In a recurrence, with the step at which it first goes wrong."""
        steps = self._wrong_steps()
        for one in found:
            if not steps:
                yield one
            else:
                yield Diagnosis(one.kind, f"{one.text} (first wrong at step {steps})")

    def _wrong_steps(self) -> int:
        """The first step that is wrong, in the order in which they are computed; 0: no steps."""
        if self.evidence is None or not self.written.is_stepwise:
            return 0
        is_reverse = isinstance(self.claim, Claim) and not self.claim.is_stepwise
        wrong = self.evidence.wrong
        each = wrong.reshape(*wrong.shape[:2], -1).any(axis=(0, 2)) if wrong.ndim > 1 else wrong
        at = np.flatnonzero(each)
        return int(at[-1 if is_reverse else 0]) + 1 if len(at) else 0

    def _of_values(self) -> Iterator[Diagnosis]:
        e = self.evidence
        if e is not None:
            yield from self._counted(e)
            for one in patterns(e):
                if one.kind not in PLACES or not self.written.is_stepwise:
                    yield self._as_division(one)
            if isinstance(self.claim, Claim):
                yield from self._steps(e, self.claim)

    def _counted(self, e: Evidence) -> Iterator[Diagnosis]:
        """A factor that is how many entries are added up, where a mean is written somewhere."""
        factor = factor_of(e)
        if factor is None or factor <= 0:
            return
        count, inverse = round(factor), round(1 / factor)
        in_function = (e for step in self.suspect.case.function.steps for e in _formulas(step))
        if self._is_count(count, factor) and self._averages(in_function, count):
            text = f"it is {count} times the right value: a sum where the mean is meant"
            yield Diagnosis("sum_for_mean", text)
        if self._is_count(inverse, 1 / factor) and self._averages(self._open, inverse):
            text = f"it is 1/{inverse} of the right value: a mean where the sum is meant"
            yield Diagnosis("mean_for_sum", text)

    def _is_count(self, count: int, number: float) -> bool:
        return count in self._counts - {1, 2} and abs(count - number) < 1e-9 * number

    def _averages(self, formulas: Iterable[Expression], count: int) -> bool:
        """Whether a mean is taken, or something divided by so many."""
        sizes = {"mean", "var", "std"}
        for formula in formulas:
            if formula.words & sizes:
                return True
            for node in values_of(formula.tree):
                if isinstance(node, Call) and node.word.name == "div":
                    below = node.arguments[1]
                    names = [n.name for n in values_of(below) if isinstance(n, Name)]
                    numbers = [n.value for n in values_of(below) if isinstance(n, Number)]
                    if count in numbers or any(self._equals(name, count) for name in names):
                        return True
        return False

    def _equals(self, name: str, count: int) -> bool:
        array = self.suspect.named.get(name)
        return array is not None and bool((array == count).all())

    @property
    def _counts(self) -> frozenset[int]:
        """How many entries of something may be added up."""
        found: set[int] = set()
        for array in self.suspect.named.values():
            shape = array.shape[1:]
            found |= {int(np.prod(shape)), *shape}
        return frozenset(found)

    def _steps(self, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
        """The derivative of the step beside, or after one step less or more."""
        if claim.is_stepwise and len(e.shape) and e.shape[0] > 2:
            for step, which in ((1, "before"), (-1, "after")):
                moved = np.roll(e.truth, step, axis=1)
                there = slice(1, None) if step > 0 else slice(None, -1)
                if e.near(moved, e.found)[:, there].all():
                    text = f"at every step it is the derivative of the step {which}"
                    yield Diagnosis("off_by_one_step", text)
        for more in (-1, 1) if self.suspect.cost < MOST_OPERATIONS // 64 else ():
            truth = self._with_steps(claim, more)
            if truth is not None and e.is_found(truth) and not e.is_truth(truth):
                word = "less" if more < 0 else "more"
                text = f"it is the derivative after one step {word}"
                yield Diagnosis("off_by_one_step", text)

    def _with_steps(self, claim: Claim, more: int) -> Any:
        """The truth for a recurrence of so many more steps."""
        if not any(isinstance(step, Recurrence) for step in claim.steps):
            return None
        found = []
        for spot in self.suspect.spots:
            steps = tuple(
                replace(step, steps=_plus(step.steps, more))
                if isinstance(step, Recurrence)
                else step
                for step in self.claim.steps
            )
            truth = self.suspect.truth_with(spot, steps)
            if truth is None or truth.shape != spot.truth.shape:
                return None
            found.append(truth)
        return np.stack(found)

    def _forgotten(self, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
        """A use of a value that is taken for a constant, or the only one that is not."""
        dearest = MOST_OPERATIONS // (self.suspect.cost * len(self.suspect.spots))
        listed = uses(claim)[: max(1, dearest // 8)]
        own = [use for use in listed if use.name == claim.input]
        shares: list[Array] = []
        for use in listed:
            is_own = use.name == claim.input
            if is_own and len(own) < 2 and use.name != PARAMETER:
                continue
            less = without(self.suspect, claim, use)
            if less is None:
                continue
            rest = np.stack(less)
            if e.is_truth(rest):
                continue
            where = f"`{use.of} = {use.formula.text}`"
            if is_own:
                shares.append(e.truth - rest)
            if use.inner:
                if e.is_found(rest):
                    text = f"{use.inner} in `{use.name}` is taken for a constant"
                    yield Diagnosis("missing_term", text)
            elif use.name == PARAMETER:
                if e.is_found(rest):
                    yield Diagnosis("missing_term", f"the term with `d{use.of}` is missing")
            elif e.is_found(rest) and is_own:
                text = f"the use of `{use.name}` in {where} is forgotten"
                yield Diagnosis("forgotten_use", text)
            elif e.is_found(rest):
                text = f"what goes through `{use.name}` in {where} is missing"
                yield Diagnosis("missing_term", text)
            elif is_own and e.is_found(e.truth - rest):
                text = f"only the use of `{use.name}` in {where} counts, what others add is missing"
                yield Diagnosis("missing_term", text)
        has_matrix = any(array.ndim == 3 for array in self.suspect.named.values())
        for one, other in permutations(shares, 2) if has_matrix else ():
            if e.is_found(e.truth + one - other) and not e.is_same(one, other):
                text = f"one use of `{claim.input}` counts twice and another not at all"
                yield Diagnosis("transposed", f"{text}, as if a matrix were symmetric")

    def _companions(self) -> dict[str, Array]:
        """What derivatives of the function are made of: cos(x) of sin(x), x**(n - 1) of x**n."""
        parts = [
            part
            for step in self.claim.steps
            if isinstance(step, Step)
            for part in companions(step.expression)
        ]
        return self.suspect.values_of({part.text: part for part in parts})

    def _without_values(self, e: Evidence, claim: Claim) -> Iterator[Diagnosis]:
        """What would be right if an input or a constant were 0."""
        for name in self.suspect.case.function.given:
            if name != claim.input and self.suspect.cost < MOST_OPERATIONS // 64:
                less = without_value(self.suspect, claim, name)
                if less is not None and e.is_found(np.stack(less)):
                    text = f"what `{name}` adds is missing: it is right where that is 0"
                    yield Diagnosis("missing_term", text)

    def _mended(
        self, repairs: Callable[[Expression, Surroundings], Iterator[Repair]]
    ) -> Iterator[Diagnosis]:
        """The changes of a formula with which it is right."""
        each = [
            zip(repairs(expression, self._surroundings), repeat(expression))
            for expression in self._open
        ]
        count = len(list(own_expressions(self.written)))
        ordered = chain(_in_turn(each[:count]), _in_turn(each[count:]))
        for repair, expression in islice(ordered, MOST_OPERATIONS // self.suspect.cost):
            if self.suspect.is_right(replaced(self.written, expression, repair.expression)):
                one = Diagnosis(repair.kind, self._placed(expression, repair))
                if repair.meant:
                    self._meant[one] = Diagnosis(repair.meant, one.text)
                yield one

    def _placed(self, expression: Expression, repair: Repair) -> str:
        """What a repair says: with the number of another line, and no formula that no file has."""
        text = repair.text
        links = {name for name in repair.expression.names if "/" in name}
        if links - set(expression.names) - self._declared:
            text = text.partition(": write `")[0]
        if expression in own_expressions(self.written) or not expression.line:
            return text
        return f"in line {expression.line}: {text}"

    @cached_property
    def _declared(self) -> set[str]:
        """The links that a formula may use."""
        if isinstance(self.written, PassFormula):
            return set()
        return {claim.quantity for claim in self.suspect.case.claims}

    @cached_property
    def _open(self) -> list[Expression]:
        """The formulas in which the mistake may be: its own, and lines that nobody judges."""
        found = list(own_expressions(self.written))
        known = self.suspect.named
        found += [line.expression for line in self._lines if line.name not in known]
        return list(dict.fromkeys(found))

    @cached_property
    def _lines(self) -> list[Line]:
        """Those of a pass, up to its own."""
        if not isinstance(self.written, PassFormula):
            return []
        return [
            line
            for statement in (*self.written.before, self.written.own)
            for line in (statement.lines if isinstance(statement, Sweep) else (statement,))
            if isinstance(line, Line)
        ]

    @cached_property
    def _surroundings(self) -> Surroundings:
        known = self.suspect.named
        parts = self.suspect.parts
        is_pass = isinstance(self.written, PassFormula)  # in which there are no links
        shapes = {
            name: array.shape[1:]
            for name, array in known.items()
            if name not in parts and not (is_pass and "/" in name)
        }
        plain = {name for name, array in known.items() if _is_no_factor(name, array)}
        local = [name for name in self._locals if name not in known]
        names = (*(name for name in known if name not in plain), *local)
        varying = [name for name, array in known.items() if _varies(array, name in parts)]
        if isinstance(self.written, PassFormula) and isinstance(self.written.own, Sweep):
            steps = _indexed(self.written.own)
            parts = {**parts, **steps}
            whole = {*self.suspect.case.sizes, *(text.partition("[")[0] for text in steps)}
            sums = set(self.written.own.names) - {*local, self.written.name}
            written = {name for line in self._lines for name in line.expression.names}
            near = [n for n in names if n in written - {*whole, *sums, *local}]
            names = (*local, *steps, *near)
        return Surroundings(
            {**shapes, **dict.fromkeys(local)},
            names,
            tuple(self.suspect.choices),
            self._counts - {1, 2},
            self._after(),
            parts,
            frozenset(name for name, array in known.items() if _is_signed(array)),
            frozenset([*varying, *(name for name in names if name not in known)]),
            dict(self._makes()),
            frozenset(name for name in parts if np.isin(known.get(name, 2.0), (-1, 0, 1)).all()),
        )

    def _makes(self) -> Iterator[tuple[tuple[str, str], str]]:
        """What is forgotten where a name stands for another that is made of it at once."""
        is_pass = isinstance(self.written, PassFormula)
        made = [(line.name, line.expression) for line in self._lines]
        made += [(s.name, s.expression) for s in self.claim.steps if isinstance(s, Step)]
        for claim in self.suspect.case.claims:
            for one in claim.formulas:
                if isinstance(one, PassFormula) == is_pass:
                    name = claim.quantity.removesuffix("[t]")
                    made += [(name, expression) for expression in own_expressions(one)]
        for name, expression in made:
            tree = expression.tree
            if isinstance(tree, Call) and tree.word.name not in ("add", "sub"):
                kind = "lost_outside" if tree.word.name in _CHOOSING else "missing_factor"
                for other in expression.names:
                    yield (other, name), kind

    @property
    def _locals(self) -> Iterator[str]:
        """The names of lines at every step of a recurrence."""
        own = self.written.own if isinstance(self.written, PassFormula) else None
        if isinstance(own, Sweep):
            yield from (line.name for line in own.lines)

    def _after(self) -> dict[str, Part] | None:
        """A state's value after a step, by the state's name, for formulas that are carried."""
        if not isinstance(self.written, RecurrentFormula):
            return None
        derivatives = self.written.derivatives
        return {
            state.name: Part(state.next.tree, state.next.text)
            for state in self.written.recurrence.states
            if state.name not in derivatives
        }

    def _constants(self) -> Iterator[Diagnosis]:
        """A number that would have to be another, also the 1 that nobody writes before a term."""
        for expression in self._open:
            nodes = list(values_of(expression.tree))
            numbers = [node for node in nodes if isinstance(node, Number)]
            alike = [[one for one in numbers if one.value == v] for v in {n.value for n in numbers}]
            for some in (*([one] for one in numbers), *(s for s in alike if len(s) > 1)):
                found = self._fitting(expression, some, number(1), some[0].value)
                if found is not None:
                    yield self._instead_of(some[0], *found)
            sums = [n for n in nodes if isinstance(n, Call) and n.word.name in ("add", "sub")]
            for term in (Editor(expression).part(one) for node in sums for one in node.arguments):
                found = self._fitting(expression, [term.node], term, 1)
                if found is not None:
                    yield self._times(term, *found)

    def _instead_of(self, node: Number, fitting: Decimal, mended: str) -> Diagnosis:
        if node.value == 1 and (name := self._named_number(fitting)):
            return Diagnosis("missing_factor", f"`{name}` belongs where 1 stands: `{mended}`")
        text = f"with {fitting} in place of {node.value} it is right: `{mended}`"
        return Diagnosis("wrong_constant", text)

    def _named_number(self, value: Decimal) -> str:
        """What has this value at all points and is named, such as a size; else nothing."""
        named = self.suspect.named
        if abs(value) in (0, 1):
            return ""
        numbers = {
            text
            for text, part in self.suspect.parts.items()
            if not any(isinstance(node, Name) for node in values_of(part.node))
        }
        written = {name for expression in self._open for name in expression.names}
        is_plain = abs(value) in (2, Decimal("0.5"))
        near = (
            name
            for name, array in named.items()
            if "/" not in name
            and name not in numbers
            and (name in written or not is_plain)
            and array.ndim == 1
            and (abs(array - float(value)) < 1e-8 * abs(array)).all()
        )
        return next(near, "")

    def _times(self, term: Part, fitting: Decimal, mended: str) -> Diagnosis:
        count = 1 / float(fitting)
        if round(count) in self._counts - {1, 2} and abs(count - round(count)) < 1e-8:
            how = f"counts {round(count)} times too much: a sum where the mean is meant"
            return Diagnosis("sum_for_mean", f"the term `{term.text}` {how}")
        if name := self._named_number(fitting):
            text = f"the term `{term.text}` lacks the factor `{name}`"
            return Diagnosis("missing_factor", text)
        if name := self._named_number(1 / fitting):
            text = f"the term `{term.text}` lacks a division by `{name}`"
            return Diagnosis("extra_factor", text)
        text = f"the term `{term.text}` is to count {fitting} times: `{mended}`"
        return Diagnosis("wrong_constant", text)

    def _fitting(
        self, expression: Expression, nodes: Sequence[Node], times: Part, value: int | Decimal
    ) -> tuple[Decimal, str] | None:
        """The number that fits in place of all nodes, times a part, and the formula with it."""
        if self.evidence is None or self.suspect.cost > MOST_OPERATIONS // 128:
            return None
        spot = self.suspect.spots[0]
        apart = np.abs(self.evidence.truth[0] - self.evidence.found[0])
        if not apart.size or not apart.max() > 0:
            return None
        at = np.unravel_index(int(np.argmax(apart)), apart.shape)

        def with_number(value: Decimal) -> Expression:
            part = number(value) if value >= 0 else negative(number(-value))
            if not isinstance(nodes[0], Number):
                part = binary("*", part, times)
            return all_instead(expression, [(node, part) for node in nodes])

        def residual(value: float) -> float:
            changed = replaced(self.written, expression, with_number(Decimal(repr(value))))
            found = spot.value(changed)
            return float("nan") if found is None else float(found[at] - spot.truth[at])

        there = root(residual, float(value))
        if there is None:
            return None
        found = short(there)
        if found == value or min(abs(there), abs(there + float(value))) < 1e-9:
            return None  # it is as it is, or another mistake: a term too many, a wrong sign
        mended = with_number(found)
        is_right = self.suspect.is_right(replaced(self.written, expression, mended))
        return (found, mended.text) if is_right else None


def _in_turn(each: Iterable[Iterator[_T]]) -> Iterator[_T]:
    """One of every series, then the next of every one."""
    for some in zip_longest(*each):
        yield from (one for one in some if one is not None)


def _first_name(text: str) -> str:
    """What a sentence is about."""
    return text.partition("`")[2].partition("`")[0]


def _is_no_factor(name: str, array: Array) -> bool:
    """Whether it is 0, 1 or -1 everywhere, or a link that is: a sign or a mask, if anything."""
    is_flag = bool(np.isin(array, (-1.0, 0.0, 1.0)).all())
    return is_flag and ("/" in name or bool((array == array.flat[0]).all()))


def _varies(array: Array, is_part: bool) -> bool:
    """Whether it is not one number, and if it has no name, a share of 1."""
    is_share = bool(((array > 0) & (array < 1)).all())
    return bool((array != array.flat[0]).any()) and (is_share or not is_part)


def _is_signed(array: Array) -> bool:
    """Whether it has both signs, and more than one size."""
    sizes = np.abs(array)
    return bool((array > 0).any() and (array < 0).any() and (sizes != sizes.flat[0]).any())


def _indexed(sweep: Sweep) -> dict[str, Part]:
    """The states before and after a step, and what lines take of other values at it."""
    index = sweep.recurrence.index
    if index is None:
        return {}
    at = named(index)
    found: dict[str, Part] = {}
    for state in sweep.recurrence.states:
        for item in (at, binary("+", at, number(1))):
            text = f"{state.name}[{item.text}]"
            found[text] = Part(Index(0, 0, Name(0, 0, state.name), (item.node,)), text)
    formulas = [state.next for state in sweep.recurrence.states]
    for expression in (*formulas, *(repeated(line) for line in sweep.lines)):
        editor = Editor(expression)
        for node in values_of(expression.tree):
            if isinstance(node, Index) and isinstance(node.value, Name):
                part = editor.part(node)
                found.setdefault(part.text, part)
    return found


def _formulas(step: Step | Recurrence) -> list[Expression]:
    if isinstance(step, Step):
        return [step.expression]
    return [one for state in step.states for one in (state.start, state.next)]


def _plus(steps: Expression, more: int) -> Expression:
    """So many steps more."""
    editor = Editor(steps)
    part = binary("+" if more > 0 else "-", editor.whole, number(abs(more)))
    return Expression(part.text, part.node)
