"""The vocabulary: every word names a torch function and takes that function's own arguments."""

import functools
import importlib
import inspect
import pickle
import re

import pytest
import torch

from gradcheck.language.vocabulary import SYNONYMS, TOPICS, WORDS
from gradcheck.language.word import Parameter, Word

KINDS = {"tensor", "operand", "raw", "list", "int", "ints", "number", "flag", "text"}


def meant(word):
    module, _, name = word.torch.rpartition(".")
    if module.startswith("torch"):
        return functools.reduce(getattr, word.torch.split(".")[1:], torch)
    return getattr(importlib.import_module(module), name)


def test_the_vocabulary_has_every_word_of_the_first_issue():
    asked = """
        exp log log1p expm1 sqrt rsqrt reciprocal sin cos tan asin acos atan atan2 sinh cosh tanh
        sigmoid logsigmoid softplus relu leaky_relu elu gelu silu erf erfc lgamma digamma xlogy
        hypot logaddexp abs sign square pow minimum maximum clamp where floor round logical_and
        logical_or logical_not sum mean prod amax amin var std logsumexp softmax log_softmax cumsum
        cumprod norm matmul dot outer kron einsum tensordot trace det logdet slogdet inv solve
        cholesky diag tril triu transpose permute reshape flatten squeeze unsqueeze expand
        concatenate stack flip roll gather index_select one_hot zeros ones arange eye zeros_like
        ones_like full_like detach pi e
    """
    assert set(asked.split()) <= set(WORDS)


def test_no_word_is_there_twice():
    assert sum(len(words) for words in TOPICS.values()) == len(WORDS)


def test_a_synonym_is_no_word():
    assert not set(SYNONYMS) & set(WORDS)


@pytest.mark.parametrize("word", WORDS.values(), ids=list(WORDS))
def test_a_word_is_documented_in_one_line(word):
    assert re.fullmatch(r"\S.{0,78}[^.\s]", word.doc)


@pytest.mark.parametrize("word", WORDS.values(), ids=list(WORDS))
def test_a_word_names_something_that_exists(word):
    assert callable(meant(word)) == (word.signature is not None)


@pytest.mark.parametrize("word", WORDS.values(), ids=list(WORDS))
def test_a_word_s_arguments_are_of_known_kinds(word):
    assert {parameter.kind for parameter in word.parameters} <= KINDS
    assert not any(parameter.variadic for parameter in word.parameters[:-1])


@pytest.mark.parametrize("word", WORDS.values(), ids=list(WORDS))
def test_the_usage_names_every_argument(word):
    assert word.usage.startswith(word.name)
    assert all(parameter.name in word.usage for parameter in word.parameters)


OURS = [word for word in WORDS.values() if word.torch.startswith("gradcheck.")]


@pytest.mark.parametrize("word", OURS, ids=lambda word: word.name)
def test_our_own_functions_take_the_word_s_arguments(word):
    taken = set(inspect.signature(meant(word)).parameters) - {"dtype", "device"}
    if word.name == "pow":
        taken = {"input", *taken} - {"base"}
    assert taken == {parameter.name for parameter in word.parameters}


def test_a_signature_says_what_each_argument_is():
    word = Word("f", "input, other:operand, dim:ints?, *more:list", "", "torch.f")
    assert word.parameters == (
        Parameter("input", "tensor", False, False),
        Parameter("other", "operand", False, False),
        Parameter("dim", "ints", True, False),
        Parameter("more", "list", False, True),
    )
    assert word.usage == "f(input, other, dim=…, *more)"


def test_a_constant_has_no_arguments():
    assert WORDS["pi"].parameters == ()
    assert WORDS["pi"].usage == "pi"


def test_a_copy_of_a_word_is_the_word_also_in_another_process():
    assert all(pickle.loads(pickle.dumps(word)) is word for word in WORDS.values())
