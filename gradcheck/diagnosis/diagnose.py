"""A wrong formula → what mistake it looks like."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from itertools import chain, islice, repeat, zip_longest
from typing import Final, TypeVar

import numpy as np

from gradcheck.claims import Claim, Written
from gradcheck.diagnosis.changes import changes
from gradcheck.diagnosis.choosing import PLACES, best
from gradcheck.diagnosis.counts import counted
from gradcheck.diagnosis.fitting import constants
from gradcheck.diagnosis.forgotten import forgotten, without_values
from gradcheck.diagnosis.formulas import open_formulas
from gradcheck.diagnosis.insertions import insertions
from gradcheck.diagnosis.patterns import mask, one_case, patterns, weak_patterns
from gradcheck.diagnosis.repairs import Repair
from gradcheck.diagnosis.steps import of_other_steps, with_step
from gradcheck.diagnosis.surroundings import Surroundings, surroundings_of
from gradcheck.diagnosis.suspect import MOST_OPERATIONS, Suspect
from gradcheck.diagnosis.terms import missing_products
from gradcheck.language.expression import Expression
from gradcheck.lines import PassFormula
from gradcheck.place import Place
from gradcheck.results import Diagnosis
from gradcheck.second_claim import SecondClaim
from gradcheck.sites import own_expressions, replaced

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
    if suspect.evidence is not None and not suspect.evidence.wrong.any():
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
    return best(with_step(search.suspect, found), _first(written, found))


def _first(written: Written, found: Iterable[Diagnosis]) -> Collection[str]:
    """What is said first: where only one line is wrong, unless something says why."""
    if written.is_stepwise:
        return ("off_by_one_step",)
    says_why = {"sign_where_negative", "lost_outside", "transposed"}
    return PLACES if _kinds(found).isdisjoint(says_why) else ()


_T = TypeVar("_T")
_FACTORS: Final = {"missing_factor", "extra_factor", "sign_where_negative"}
_SIMPLER: Final = {
    *("extra_factor", "extra_term", "wrong_constant", "wrong_sign_of_a_term", "reduction")
}
"""Where such a change makes it right, a factor that does so too is there by chance."""
_LIKE_A_MASK: Final = {
    *("missing_factor", "extra_factor", "wrong_name", "missing_term", "sign_where_negative")
}
"""Kinds of changes that do what a mask does, by what happens to be 0 there."""


class _Search:
    """Looks for what fits a suspect."""

    def __init__(self, suspect: Suspect) -> None:
        self.suspect = suspect
        self.claim = suspect.claim
        self.written = suspect.written
        self.evidence = suspect.evidence
        self._meant: dict[Diagnosis, Diagnosis] = {}

    def found(self) -> list[Diagnosis]:
        """All that fits."""
        found = list(self._mended(changes))
        has_too_many = "extra_term" in _kinds(found)
        if _kinds(found).isdisjoint({"extra_term", "reduction"}):
            found += constants(self.suspect)
        lost = self._forgotten()
        found += self._likely([*self._of_values(), *lost], _kinds(found), lost)
        added = self._needed(self._mended(insertions), _kinds(found))
        found += self._likely(added, _kinds(found), lost)
        if "wrong_constant" in _kinds(found):
            found = [one for one in found if one.kind not in _FACTORS or _is_of_a_name(one)]
        if not has_too_many:  # what a formula lacks has the other sign
            found = [one for one in found if one.kind != "extra_term"]
        return self._with_case(self._with_mask(found))

    def told_at_its_point(self) -> list[Diagnosis]:
        """What fits there, where several numbers of the derivative say so."""
        is_telling = self.evidence is not None and np.count_nonzero(self.evidence.truth) >= FEWEST
        if not is_telling or self.suspect.cost > MOST_OPERATIONS // 2048:
            return []
        return [*self._mended(changes), *constants(self.suspect)]

    def weak(self) -> Iterator[Diagnosis]:
        """What says little, for where nothing else fits."""
        if self.evidence is not None:
            if isinstance(self.claim, Claim):
                yield from without_values(self.suspect, self.evidence, self.claim)
            more = self.suspect.values_of(self.suspect.companions)
            yield from missing_products(self.evidence, more)
            for one in weak_patterns(self.evidence):
                if one.kind != "extra_term":  # what a formula lacks has the other sign
                    yield one

    def _forgotten(self) -> list[Diagnosis]:
        if self.evidence is None or not isinstance(self.claim, Claim):
            return []
        return list(forgotten(self.suspect, self.evidence, self.claim))

    def _of_values(self) -> Iterator[Diagnosis]:
        """What the numbers tell, whatever was written."""
        e = self.evidence
        if e is not None:
            yield from counted(self.suspect, e)
            for one in patterns(e):
                if one.kind not in PLACES or not self.written.is_stepwise:
                    yield self._as_division(one)
            if isinstance(self.claim, Claim):
                yield from of_other_steps(self.suspect, e, self.claim)

    def _as_division(self, one: Diagnosis) -> Diagnosis:
        """A factor too many that no formula has: a division that it lacks."""
        name = _first_name(one.text)
        if one.kind != "extra_factor" or any(name in each.text for each in self._open):
            return one
        return Diagnosis("extra_factor", f"a division by `{name}` is missing")

    def _needed(self, added: Iterable[Diagnosis], kinds: Collection[str]) -> Iterator[Diagnosis]:
        """Insertions but for what a change of what is there, or a place, tells better."""
        is_told = not _SIMPLER.union(PLACES).isdisjoint(kinds)
        for one in added:
            is_needless = one.kind in _FACTORS and is_told
            is_needless |= one.kind == "transposed" and "reduction" in kinds
            if not is_needless:
                yield one

    def _likely(
        self, told: Iterable[Diagnosis], kinds: Collection[str], lost: Collection[Diagnosis]
    ) -> Iterator[Diagnosis]:
        """All but factors that something simpler makes needless.

        What is right without a part lacks nothing, though a factor would undo that part; what has
        lost a use is no product with a link, or with a part of the function.
        """
        is_simpler = bool(lost) or "wrong_constant" in kinds
        for one in told:
            is_factor = one.kind in ("missing_factor", "extra_factor")
            is_by_chance = one.kind == "missing_factor" and "extra_factor" in kinds
            is_by_chance |= is_factor and is_simpler and not _is_of_a_name(one)
            if not is_by_chance:
                yield one

    def _with_mask(self, found: list[Diagnosis]) -> list[Diagnosis]:
        """With what is to be 0 somewhere, which tells more than what happens to be 0 there."""
        kinds = _kinds(found)
        if self.evidence is None or not kinds.isdisjoint(PLACES):
            return found
        masked = [] if "lost_outside" in kinds else list(mask(self.evidence))
        if masked or "lost_outside" in kinds:
            found = [one for one in found if one.kind not in _LIKE_A_MASK]
        return [*found, *masked]

    def _with_case(self, found: list[Diagnosis]) -> list[Diagnosis]:
        """Where only another name fits: the one case in which it is wrong, or what is meant."""
        if not _kinds(found) <= {"wrong_name", *PLACES}:
            return found
        told = [] if self.evidence is None else list(one_case(self.evidence))
        return told or [self._meant.get(one, one) for one in found]

    def _mended(
        self, repairs: Callable[[Expression, Surroundings], Iterator[Repair]]
    ) -> Iterator[Diagnosis]:
        """The changes of a formula with which it is right."""
        each = [zip(repairs(one, self._around), repeat(one)) for one in self._open]
        count = len(list(own_expressions(self.written)))
        ordered = chain(_in_turn(each[:count]), _in_turn(each[count:]))
        for repair, expression in islice(ordered, MOST_OPERATIONS // self.suspect.cost):
            if self.suspect.is_right(replaced(self.written, expression, repair.expression)):
                one = Diagnosis(repair.kind, self._placed(expression, repair))
                if repair.meant:
                    self._meant[one] = Diagnosis(repair.meant, one.text)
                yield one

    @cached_property
    def _open(self) -> list[Expression]:
        return open_formulas(self.suspect)

    @cached_property
    def _around(self) -> Surroundings:
        return surroundings_of(self.suspect)

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


def _in_turn(each: Iterable[Iterator[_T]]) -> Iterator[_T]:
    """One of every series, then the next of every one."""
    for turn in zip_longest(*each):
        yield from (one for one in turn if one is not None)


def _kinds(found: Iterable[Diagnosis]) -> set[str]:
    return {one.kind for one in found}


def _is_of_a_name(one: Diagnosis) -> bool:
    """Whether it is about a value, and not about a link or a part of the function."""
    return _first_name(one.text).isidentifier()


def _first_name(text: str) -> str:
    """What a sentence is about."""
    return text.partition("`")[2].partition("`")[0]
