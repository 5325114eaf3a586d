"""Points that hypothesis finds, always the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from gradcheck.search.space import Space
from gradcheck.search.values import Values


def example(space: Space, has_it: Callable[[Values], bool], count: int, seed: int) -> Values | None:
    """A point with a property, as simple as hypothesis makes it; None where it finds none.

    It is asked for `count` points, and for more to shrink what it finds.
    """
    from hypothesis import HealthCheck, Phase, Verbosity, find, settings
    from hypothesis.errors import HypothesisException

    asked = settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
    )

    def holds(values: Values) -> bool:
        admitted = space.admitted(values)
        return admitted is not None and has_it(admitted)

    try:
        with _no_numbers_of_others():
            found = find(space.strategy(), holds, settings=asked, random=Random(seed))
    except HypothesisException:
        return None  # it found none
    return space.admitted(found)


@contextmanager
def _no_numbers_of_others() -> Iterator[None]:
    """hypothesis takes numbers from what modules of the user's happen to be imported.

    It also keeps them in a folder of the directory that it runs in. Neither is wanted here.
    """
    try:
        from hypothesis.internal.conjecture import providers
        from hypothesis.internal.constants_ast import Constants

        known = providers._get_local_constants
        cached = providers.CONSTANTS_CACHE.cache
    except (ImportError, AttributeError):  # a version that does so otherwise
        yield
        return
    cached.clear()
    providers._get_local_constants = Constants
    try:
        yield
    finally:
        providers._get_local_constants = known
        cached.clear()
