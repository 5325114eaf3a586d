import pytest

from gradcheck.errors import UsageError
from gradcheck.selection import select

TEXT = """
defaults: {tags: [all]}
cases:
  alpha:
    function: x**2
    tags: [first, scalar]
    inputs: {x: 1.5}
    derivatives: {x: 2*x}
  Beta:
    function: sum(x)
    sizes: {n: [1, 2]}
    inputs: {x: {shape: [n], sample: normal}}
    derivatives: {x: 1}
"""
INVALID = """
cases:
  good: {function: x**2, inputs: {x: 1.5}, derivatives: {x: 2*x}}
  bad: {function: x +, inputs: {x: 1.5}, derivatives: {x: 2*x}}
"""


@pytest.fixture
def path(write):
    return str(write(TEXT, "sub.grad.yaml"))


def names(selection):
    return [case.name for cases in selection.cases.values() for case in cases]


def test_a_file_means_all_its_cases_in_order(path):
    assert names(select([path])) == ["alpha", "Beta-n1", "Beta-n2"]
    assert select([path]).count == 3


def test_a_folder_means_the_files_in_it(path, tmp_path):
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    (folder / "b.grad.yaml").write_text(TEXT, encoding="utf-8")
    (folder / "other.yaml").write_text("nonsense", encoding="utf-8")
    selection = select([str(tmp_path)])
    assert [file.name.removeprefix(f"{tmp_path}/") for file in selection.files] == [
        "deep/deeper/b.grad.yaml",
        "sub.grad.yaml",
    ]
    assert selection.count == 6


def test_one_case_is_named_after_two_colons(path):
    assert names(select([f"{path}::alpha"])) == ["alpha"]


def test_an_entry_with_listed_sizes_means_all_its_cases_and_each_has_a_name(path):
    assert names(select([f"{path}::Beta"])) == ["Beta-n1", "Beta-n2"]
    assert names(select([f"{path}::Beta-n2"])) == ["Beta-n2"]


def test_a_case_that_is_named_twice_is_chosen_once(path):
    selection = select([f"{path}::alpha", path, f"{path}::Beta-n1", path])
    assert names(selection) == ["alpha", "Beta-n1", "Beta-n2"]
    assert len(selection.files) == 1


def test_a_misspelled_case_gets_a_suggestion(path):
    with pytest.raises(UsageError) as caught:
        select([f"{path}::alpa"])
    assert str(caught.value) == f"there is no case `alpa` in {path}: did you mean `alpha`?"


def test_an_invalid_case_is_suggested_too(write):
    path = write(INVALID.replace("bad", "quotient"))
    with pytest.raises(UsageError, match="did you mean `quotient`"):
        select([f"{path}::quotent"])


def test_a_case_that_resembles_nothing_gets_none(path):
    with pytest.raises(UsageError) as caught:
        select([f"{path}::zzzzzz"])
    assert str(caught.value) == f"there is no case `zzzzzz` in {path}"


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no file or directory"):
        select([str(tmp_path / "missing.grad.yaml")])


@pytest.mark.parametrize(
    ("keyword", "chosen"),
    [
        ("alpha", ["alpha"]),
        ("BETA", ["Beta-n1", "Beta-n2"]),
        ("n2", ["Beta-n2"]),
        ("sub.grad.yaml::a", ["alpha"]),
        ("", ["alpha", "Beta-n1", "Beta-n2"]),
        ("nothing", []),
    ],
)
def test_a_keyword_is_a_part_of_file_and_case_in_any_case_of_letters(path, keyword, chosen):
    assert names(select([path], keyword)) == chosen


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        (["first"], ["alpha"]),
        (["all"], ["alpha", "Beta-n1", "Beta-n2"]),
        (["scalar", "nothing"], ["alpha"]),
        (["nothing"], []),
    ],
)
def test_one_of_the_tags_has_to_be_there(path, tags, chosen):
    assert names(select([path], tags=tags)) == chosen


def test_keyword_and_tags_add_up(path):
    assert names(select([path], "beta", ["first"])) == []


def test_an_invalid_case_leaves_the_others(write):
    path = str(write(INVALID))
    selection = select([path])
    assert names(selection) == ["good"]
    assert len(selection.files[0].problems) == 1
    assert names(select([f"{path}::bad"])) == []  # its problem is shown instead


def test_a_named_case_is_not_blamed_for_another(write):
    path = write("""
        cases:
          good: {function: x**2, inputs: {x: 1}, derivatives: {x: 2*x}}
          bad: {function: x**2, inputs: {x: 1}, derivatives: {x: 2*y}}
        """)
    assert select([f"{path}::good"]).problems == ()
    assert [problem.case for problem in select([f"{path}::bad"]).problems] == ["bad"]
    assert [problem.case for problem in select([str(path)]).problems] == ["bad"]
