"""Parts of a run: which cases are whose, and what tells one selection from another."""

import pytest

from gradcheck.casefile.load import load
from gradcheck.errors import UsageError
from gradcheck.jobs import jobs
from gradcheck.shards import Shard, fingerprint

CASE = "  c{n}:\n    function: x**2\n    inputs: {{x: 3}}\n    derivatives: {{x: 2*x}}\n"


@pytest.fixture
def work(write):
    """The jobs of two files, of five cases and of two."""

    def work(*names, **options):
        texts = {"a.grad.yaml": range(5), "b.grad.yaml": range(5, 7)}
        found = {}
        for name, numbers in texts.items():
            head = "defaults: {dtypes: [float64, float32]}\ncases:\n"
            path = write(head + "".join(CASE.format(n=n) for n in numbers), name)
            found[str(path)] = list(jobs(load(path).cases, **options))
        return found

    return work


def cases(work):
    return [job.case.name for listed in work.values() for job in listed]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_case_is_in_one_shard_in_all_its_dtypes(work, count):
    whole = work()
    parts = [cases(Shard(number, count).of(whole)) for number in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(cases(whole))
    assert all(part.count(name) == 2 for part in parts for name in part)
    sizes = {len(set(part)) for part in parts}
    assert max(sizes) - min(sizes) <= 1


def test_cases_are_dealt_one_by_one(work):
    assert list(dict.fromkeys(cases(Shard(2, 3).of(work())))) == ["c1", "c4"]


def test_a_case_that_has_nothing_to_run_is_not_dealt(work):
    assert cases(Shard(1, 2).of(work(dtypes=["float32"]))) == ["c0", "c2", "c4", "c6"]
    assert cases(Shard(1, 2).of(work(dtypes=["float16"]))) == []


def test_a_selection_is_told_by_its_cases_its_files_and_what_was_asked(work):
    first = fingerprint(work(), [], None)
    assert fingerprint(work(), [], None) == first
    assert fingerprint(work(), ["float64", "float32"], None) == fingerprint(
        work(), ["float32", "float64", "float32"], None
    )
    fewer = {file: listed[2:] for file, listed in work().items()}
    others = [
        fingerprint(fewer, [], None),
        fingerprint(work(), ["float64"], None),
        fingerprint(work(), [], "cpu"),
    ]
    assert len({first, *others}) == 4


def test_a_selection_is_told_by_the_text_of_its_files_however_lines_end(work, tmp_path):
    first = fingerprint(work(), [], None)
    whole = work()
    path = tmp_path / "a.grad.yaml"
    text = path.read_bytes()
    path.write_bytes(text.replace(b"\n", b"\r\n"))
    assert fingerprint(whole, [], None) == first
    path.write_bytes(text.replace(b"x: 3", b"x: 4"))
    assert fingerprint(whole, [], None) != first


def test_a_shard_is_written_as_a_part_of_a_whole():
    assert Shard.parse("2/3") == Shard(2, 3)
    for text in ("0/3", "4/3", "1", "1/0", "-1/3", "1/3x", "1 / 3", "١/٣", ""):
        with pytest.raises(UsageError, match=r"is no shard: write 1/3, 2/3 or 3/3 for one of"):
            Shard.parse(text)
