"""Shards that are joined, and what is no whole run."""

import json
from dataclasses import replace

import pytest

from gradcheck.casefile.problems import Problem
from gradcheck.errors import UsageError
from gradcheck.merging import merge
from gradcheck.records import RunEnd
from gradcheck.report.jsonl import JsonLines
from gradcheck.results import Result

PROBLEM = Problem("b.grad.yaml", 3, 5, "wrong")


def result(case, file="a.grad.yaml", line=1, **fields):
    known = {"quantity": "dy/dx", "point": "1", "dtype": "float64", "device": "cpu"}
    return Result(case, file, line, **{**known, "verdict": "pass", **fields})


@pytest.fixture
def shard(tmp_path, monkeypatch):
    """Writes the file of a shard."""
    monkeypatch.chdir(tmp_path)

    def shard(name, number, count, *results, is_cut=False, **fields):
        path = tmp_path / name
        end = RunEnd("0.1.0", number, count, "abc", len(results), (), 0.5)
        with JsonLines(path) as lines:
            for one in results:
                lines.add(one)
            if not is_cut:
                lines.add(replace(end, **fields))
        return path.relative_to(tmp_path)

    return shard


def refused(*paths):
    with pytest.raises(UsageError) as caught:
        merge(paths)
    return str(caught.value)


def test_files_are_together_and_cases_as_they_stand_there(shard):
    first = shard("1", 1, 2, result("late", line=9), result("c", "b.grad.yaml"))
    second = shard("2", 2, 2, result("early", line=2), result("early", line=4, quantity="z"))
    for order in ([first, second], [second, first]):
        found = merge(order).files
        assert list(found) == ["a.grad.yaml", "b.grad.yaml"]
        assert [one.case for one in found["a.grad.yaml"]] == ["early", "early", "late"]


def test_what_is_wrong_with_files_is_told_once_and_time_is_added_up(shard):
    paths = [shard(str(n), n, 2, result(f"c{n}"), problems=(PROBLEM,)) for n in (1, 2)]
    end = merge(paths).end
    assert end.problems == (PROBLEM,)
    assert (end.shard, end.shards, end.records, end.seconds) == (1, 1, 2, 1.0)


def test_a_shard_with_no_case_of_its_own_is_a_shard(shard):
    assert merge([shard("1", 1, 2, result("c")), shard("2", 2, 2)]).end.records == 1


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ([1, 3], "shard 2/3 is missing beside s1"),
        ([2], "shards 1/3 and 3/3 are missing beside s2"),
    ],
)
def test_a_shard_that_is_missing_is_named(shard, there, message):
    assert refused(*(shard(f"s{n}", n, 3, result(f"c{n}")) for n in there)) == message


def test_many_that_are_missing_are_counted(shard):
    message = refused(shard("s", 1, 90))
    assert message == "shards 2/90, 3/90, 4/90 and 86 others are missing beside s"


def test_a_shard_that_is_there_twice_is_named(shard):
    paths = [shard("s1", 1, 2), shard("s2", 2, 2), shard("again", 2, 2)]
    assert refused(*paths) == "shard 2/2 is there twice: s2 and again"


def test_a_shard_that_did_not_come_to_its_end_is_named(shard):
    paths = [shard("s1", 1, 2, result("a")), shard("s2", 2, 2, result("b"), is_cut=True)]
    assert refused(*paths) == (
        "s2 does not say that its run came to an end: it was stopped, or written without --shard "
        "(--shard 1/1 is a whole run)"
    )


def test_a_shard_that_is_cut_within_a_line_is_named_with_it(shard):
    path = shard("s", 1, 1, result("a"), result("b"))
    path.write_text(path.read_text("utf-8")[:-30], "utf-8")
    assert refused(path) == "s:3: the record is cut off"


def test_a_shard_that_lost_a_record_is_named(shard):
    path = shard("s", 1, 1, result("a"), result("b"))
    path.write_text(path.read_text("utf-8").split("\n", 1)[1], "utf-8")
    assert refused(path) == "s has 1 record, and says that there were 2"


def test_shards_of_two_selections_are_refused(shard):
    paths = [shard("s1", 1, 2, result("a")), shard("s2", 2, 2, result("b"), selection="def")]
    assert refused(*paths) == (
        "shard 2/2 is missing beside s1: s2 is of another selection "
        "(--shard's count, case files, which cases, --dtype or --device)"
    )
    assert "shard 2/2 is missing beside s1: s3 is of" in refused(paths[0], shard("s3", 2, 3))


def test_shards_of_two_versions_are_refused(shard):
    paths = [shard("s1", 1, 2), shard("s2", 2, 2, version="0.2.0")]
    assert refused(*paths) == "s1 was written by gradcheck 0.1.0, s2 by 0.2.0"


def test_whole_runs_of_different_selections_are_joined(shard):
    cpu = shard("cpu", 1, 1, result("a"), selection="cpu")
    cuda = shard("cuda", 1, 1, result("a", device="cuda:0"), selection="cuda")
    assert merge([cpu, cuda]).end.records == 2


def test_runs_that_have_a_claim_in_common_are_refused(shard):
    first = shard("one", 1, 1, result("a", formula="2*x"), selection="one")
    second = shard("two", 1, 1, result("a", formula="2*x"), selection="two")
    assert refused(first, second) == (
        "one and two both have a.grad.yaml::a dy/dx in float64 on cpu: leave one of them out"
    )


def test_of_many_claims_in_common_the_first_is_named(shard):
    found = [result(name) for name in "gfedcba"]
    first = shard("one", 1, 1, *found, selection="one")
    second = shard("two", 1, 1, *reversed(found), selection="two")
    assert "::a " in refused(first, second)
    assert "::g " in refused(second, first)


def test_a_record_of_a_run_is_as_the_documentation_has_it(shard):
    path = shard("s", 2, 3)
    record = json.loads(path.read_text("utf-8"))
    assert set(record) == {"schema_version", "run"}
    assert set(record["run"]) == {
        *("version", "shard", "shards", "selection", "records", "problems", "seconds")
    }
