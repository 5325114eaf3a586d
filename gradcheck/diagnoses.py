"""What wrong formulas of a case look like: each is looked at once, however many points fail."""

from __future__ import annotations

from collections.abc import Callable

from gradcheck.claims import Claim, Written
from gradcheck.conclusion import Fields
from gradcheck.place import Place
from gradcheck.results import Diagnosis
from gradcheck.second_claim import SecondClaim


class Diagnoses:
    """Those of one case; nothing of it is imported where nothing is wrong."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, Written, str], tuple[Diagnosis, ...]] = {}

    def told(
        self,
        fields: Fields,
        place: Place,
        claim: Claim | SecondClaim,
        formula: Written,
        root: str = "",
    ) -> Fields:
        """A failure with what its formula looks like."""
        from gradcheck.diagnosis import diagnose

        def find() -> tuple[Diagnosis, ...]:
            key = claim, formula, root
            if key not in self._known:
                self._known[key] = diagnose.diagnose(place, claim, formula, root)
            return self._known[key]

        return diagnosed(fields, find)


def diagnosed(fields: Fields, find: Callable[[], tuple[Diagnosis, ...]]) -> Fields:
    """A failure with what mistake it looks like; no verdict is lost where finding it raises."""
    try:
        return {**fields, "diagnosis": find()}
    except Exception as error:
        said = str(error).partition("\n")[0]
        note = f"no diagnosis: {type(error).__name__}: {said}; please report it"
        return {**fields, "notes": (*fields.get("notes", ()), note)}
