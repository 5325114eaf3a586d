"""The vocabulary as a library of hand-written derivatives, checked like one."""

import pytest
from word_cases import case

from gradcheck.language.vocabulary import WORDS

EVERY = sorted(WORDS)


@pytest.mark.parametrize("name", EVERY)
def test_a_word_s_derivative_is_right_by_proof_in_every_dtype(name, check):
    results = check(case(name))
    assert {(r.verdict, r.truth) for r in results} == {("pass", "exact")}, results


@pytest.mark.parametrize("name", EVERY)
def test_an_error_of_one_part_in_1e12_fails_in_every_dtype(name, check):
    for result in check(case(name, "*1.000000000001")):
        is_zero = result.entries[0].answers["exact"].value == 0
        expected = ("pass", "") if is_zero else ("fail", "handwritten")
        assert (result.verdict, result.blame) == expected, result
