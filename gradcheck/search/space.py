"""All inputs that a search varies, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradcheck.search.slots import Entries, Slot
from gradcheck.search.values import Values

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

FILLS: Final = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 10.0, -10.0)
"""What all entries of an input may be, the simplest first."""
MAGNITUDES: Final = (1e-3, 1e3, 1e-8, 1e8, 1e-15, 1e15)


@dataclass(frozen=True, slots=True)
class Space:
    """The points at which a search may look; there is at least one slot."""

    slots: Sequence[Slot]

    @property
    def base(self) -> Values:
        return {slot.name: slot.base for slot in self.slots}

    @property
    def entries(self) -> Sequence[Entries]:
        """The slots that are looked at number by number."""
        return [slot for slot in self.slots if isinstance(slot, Entries)]

    def admitted(self, values: Values) -> Values | None:
        """The values as the inputs can have them; None where one cannot."""
        held = {slot.name: slot.admitted(values[slot.name]) for slot in self.slots}
        found = {name: value for name, value in held.items() if value is not None}
        return found if len(found) == len(held) else None

    def candidates(self) -> Iterator[Values]:
        """Points that are worth a look, the simplest first, after the one where it begins.

        Simple numbers, ends of intervals and sizes, of all inputs together and of one at a time;
        then equal entries, other signs and sizes of one input, and two inputs that are the same.
        """
        yield self.base
        for number in self._fills():
            filled = {s.name: value for s in self.slots if (value := s.filled(number)) is not None}
            if len(filled) > 1:
                yield {**self.base, **filled}
            yield from ({**self.base, name: value} for name, value in filled.items())
        for slot in self.slots:
            for other in slot.others():
                if (value := slot.admitted(other)) is not None:
                    yield {**self.base, slot.name: value}
        for i, own in enumerate(self.entries):
            for twin in self.entries[:i]:
                same = own.admitted(twin.base) if own.base.shape == twin.base.shape else None
                if same is not None:
                    yield {**self.base, own.name: same}

    def _fills(self) -> Iterator[float]:
        own = (number for slot in self.slots for number in slot.numbers)
        sizes = (sign * size for size in MAGNITUDES for sign in (1.0, -1.0))
        return iter(dict.fromkeys([*FILLS, *own, *sizes]))

    def strategy(self) -> SearchStrategy[Values]:
        """All points, for hypothesis; of several inputs some stay as they are."""
        from hypothesis import strategies as st

        each = {slot.name: slot.strategy() for slot in self.slots}
        if len(each) > 1:
            kinds = {s.name: (each[s.name], each[s.name], st.just(s.base)) for s in self.slots}
            each = {name: st.one_of(*listed) for name, listed in kinds.items()}
        return st.fixed_dictionaries(each)
