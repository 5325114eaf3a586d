"""The command line: thin, over `selection`, `runner` and `report`."""

from __future__ import annotations

import errno
import gc
import json
import os
import shlex
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gradcheck.completion import complete_file, complete_path, complete_tag, complete_word
from gradcheck.errors import GradcheckError
from gradcheck.report.actions import CHOICES

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck.casefile.case import Case
    from gradcheck.casefile.problems import Problem
    from gradcheck.imports import Imports
    from gradcheck.report.run_report import RunReport
    from gradcheck.selection import Selection

REAL: Final = ("float64", "float32", "float16", "bfloat16")
DTYPES: Final = (*REAL, "complex128", "complex64")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
INTERNAL_ERROR, USAGE, NOTHING, INTERRUPTED, BROKEN_PIPE = 3, 4, 5, 130, 141


def _no_case_file(_: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """The file that an option writes, which may not be one of cases."""
    if path and path.name.endswith(".grad.yaml"):
        raise click.UsageError(f"--{option.name} would write over the case file {path}")
    return path


_paths = click.argument(
    "paths", nargs=-1, metavar="[PATH[::CASE]]...", shell_complete=complete_path
)
_keyword = click.option("-k", "keyword", default="", help="Only cases whose FILE::CASE has this.")
_allowed = click.option(
    "--allow-import",
    "allowed",
    multiple=True,
    metavar="MODULE",
    help="Let cases import functions from this module of yours, and from all below it.",
)
_jsonl = click.option(
    "--jsonl",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_no_case_file,
    help="Write records here too.",
)
_quiet = click.option("-q", "--quiet", is_flag=True, help="Only the summary.")
_verbose = click.option("-v", "--verbose", is_flag=True, help="A line for every claim.")
_junit = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_no_case_file,
    help="Write JUnit XML here too.",
)
_html = click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_no_case_file,
    help="Write a page to look at here too.",
)
_github = click.option(
    "--github",
    type=click.Choice(CHOICES),
    default="auto",
    show_default=True,
    help="Annotations and a step's summary in GitHub Actions; a shard leaves them to merge.",
)
_baseline = click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Fail only by what is new or worse than in this file, which --jsonl wrote.",
)
_tags = click.option(
    "--tag",
    "tags",
    multiple=True,
    help="Only cases with this tag.",
    shell_complete=complete_tag,
)


def main() -> None:
    """Runs the command line and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has no ±, say
    code = _main()
    gc.freeze()  # nothing here waits for a last collection, and among torch's objects it takes long
    sys.exit(code)


def _main() -> int:
    try:
        return int(cli(prog_name="gradcheck", standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except GradcheckError as error:
        click.echo(f"gradcheck: {error}", err=True)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except SystemExit as done:
        # What click exits for by itself: a shell got its completions, or nobody reads the output.
        return BROKEN_PIPE if done.code else 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what waits to be written there
            click.echo(f"gradcheck: the output cannot be written: {error.strerror}", err=True)
            return USAGE
        click.echo("gradcheck: internal error, please report it:", err=True)
        traceback.print_exc()
        return INTERNAL_ERROR


@click.group()
@click.version_option(package_name="gradcheck")
def cli() -> None:
    """Decides whether a derivative that somebody wrote by hand is right.

    \b
    Exit codes: 0 all passed; 1 something failed, was inconclusive or in error;
    2 a case or a file is invalid (all else still ran); 3 internal error;
    4 wrong usage; 5 nothing selected.
    """


@cli.command()
@_paths
@_keyword
@_tags
@click.option("--device", help="auto, cpu, cuda, cuda:1 or all, in place of the cases' own.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="Only this one.")
@_allowed
@_jsonl
@_junit
@_html
@_github
@_baseline
@click.option("--shard", metavar="K/N", help="Only the Kth of N parts, for `gradcheck merge`.")
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@_quiet
@_verbose
def run(
    paths: Sequence[str],
    keyword: str,
    tags: Sequence[str],
    device: str | None,
    dtypes: Sequence[str],
    allowed: Sequence[str],
    shard: str | None,
    exitfirst: bool,
    github: str,
    **outputs: Any,
) -> int:
    """Check the cases at PATHs (by default the folder `cases`)."""
    start = time.perf_counter()
    from gradcheck.checker import Checker

    with Checker() as checker:  # which gets ready while files are read
        selection = _selection(paths, keyword, tags)
        from gradcheck.jobs import jobs
        from gradcheck.report.run_report import run_report
        from gradcheck.run_files import run_files
        from gradcheck.shards import Shard, fingerprint

        imports = _imports(allowed)
        part = Shard.parse(shard) if shard else None
        _show_problems(selection.problems)
        choice = "off" if part and github == "auto" else github
        with run_report(_console(), github=choice, **outputs) as report:
            report.problems(selection.problems)
            there = checker.devices if selection.count else None
            asked = partial(jobs, dtypes=dtypes, device=device, there=there, imports=imports)
            work = {file: list(asked(cases)) for file, cases in selection.cases.items() if cases}

            def ends() -> None:
                if part:
                    chosen, seconds = fingerprint(work, dtypes, device), time.perf_counter() - start
                    report.ends(part.end(chosen, report.count, selection.problems, seconds))

            if not any(work.values()):
                ends()
                return _nothing(report)
            own, finished = part.of(work) if part else work, False
            try:
                finished = run_files(own, checker, report, exitfirst=exitfirst)
                if finished:
                    ends()
            finally:
                seconds = time.perf_counter() - start
                report.summary(seconds, is_part=part is not None, is_whole=finished)
    return report.total.exit_code


@cli.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@_jsonl
@_junit
@_html
@_github
@_baseline
@_quiet
@_verbose
def merge(files: Sequence[Path], github: str, **outputs: Any) -> int:
    """Join the FILEs of `gradcheck run --shard K/N --jsonl FILE` into one verdict and one report.

    A shard that is missing, or that did not come to its end, is an error.
    """
    from gradcheck.merging import merge as joined
    from gradcheck.report.github import refusing
    from gradcheck.report.run_report import run_report

    with refusing(github, click.echo):
        run = joined(files)
    _show_problems(run.end.problems)
    with run_report(_console(), github=github, **outputs) as report:
        report.problems(run.end.problems)
        report.files(run.files)
        report.ends(run.end)
        if not run.files:
            return _nothing(report)
        report.summary(run.end.seconds)
    return report.total.exit_code


def _nothing(report: RunReport) -> int:
    """Says that there was nothing to run; returns the exit code."""
    click.echo("nothing selected", err=True)
    report.nothing()
    return report.total.exit_code or NOTHING


@cli.command("list")
@_paths
@_keyword
@_tags
@click.option("--table", "as_table", is_flag=True, help="A table in Markdown, a row a file.")
def list_cases(paths: Sequence[str], keyword: str, tags: Sequence[str], as_table: bool) -> int:
    """List the cases at PATHs."""
    selection = _selection(paths, keyword, tags)
    if as_table:
        from gradcheck.report.library import table

        for line in table(selection.cases):
            click.echo(line)
        return 2 if _show_problems(selection.problems) else 0 if selection.count else NOTHING
    for file, cases in selection.cases.items():
        for case in cases:
            about = f"  {case.about}" if case.about else ""
            click.echo(f"{file}::{case.name}  [{', '.join(case.dtypes)}]{about}")
    return 2 if _show_problems(selection.problems) else 0 if selection.count else NOTHING


@cli.command()
@_paths
@click.option("--device", default="cpu", show_default=True, help="Where: cpu, cuda or cuda:1.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="Only this one.")
@_allowed
@click.option("--script", "as_script", is_flag=True, help="A script in torch alone, of one case.")
def explain(
    paths: Sequence[str],
    device: str,
    dtypes: Sequence[str],
    allowed: Sequence[str],
    as_script: bool,
) -> int:
    """Show the derivation of each case: values, formulas, what every oracle says, digits kept."""
    selection = _selection(paths, "", ())
    from gradcheck.explain import explain as explained
    from gradcheck.report.sheet import sheet

    where, imports = _device(device), _imports(allowed)
    problems = _show_problems(selection.problems)
    listed = [case for cases in selection.cases.values() for case in cases]
    if as_script and listed:
        _show_script(listed, dtypes, where, imports)
        return 2 if problems else 0
    console = _console()
    for case in listed:
        is_formula = case.kernel is None and set(case.dtypes) & set(REAL)
        own = REAL if is_formula else case.dtypes
        for one in explained(case, dtypes or own, where, imports):  # type: ignore[arg-type]
            for line in sheet(one):
                console.print(line, soft_wrap=True, highlight=False)
            console.print()
    return 2 if problems else 0 if selection.count else NOTHING


def _show_script(
    cases: Sequence[Case], dtypes: Sequence[str], device: str, imports: Imports
) -> None:
    from gradcheck.script import script

    case, *others = cases
    if others:
        names = ", ".join(one.name for one in cases[:3]) + ", …" * (len(cases) > 3)
        raise click.UsageError(f"--script is of one case, as in FILE::CASE; these are {names}")
    text = script(case, dtypes or case.dtypes, device, imports)  # type: ignore[arg-type]
    click.echo(text, nl=False)


@cli.command()
@_paths
@_keyword
@_tags
@click.option("--device", default="cpu", show_default=True, help="Where: cpu, cuda or cuda:1.")
@_allowed
@click.option("--min-score", type=click.FloatRange(0, 100), help="Exit with 1 below this per cent.")
@_jsonl
@_quiet
@click.option("-v", "--verbose", is_flag=True, help="A line for every case.")
def mutate(
    paths: Sequence[str],
    keyword: str,
    tags: Sequence[str],
    device: str,
    allowed: Sequence[str],
    min_score: float | None,
    jsonl: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Plant mistakes in what was written by hand, and see whether the cases fail.

    A call of a definition of the file is a word of the formula: what it is made of is not changed.
    """
    start = time.perf_counter()
    selection = _selection(paths, keyword, tags)
    from gradcheck.mutation.files import mutate_files
    from gradcheck.report.jsonl import JsonLines
    from gradcheck.report.mutation import MutationReport

    where, imports = _device(device), _imports(allowed)
    problems = _show_problems(selection.problems)
    report = MutationReport(_console(), verbosity=int(verbose) - int(quiet))
    with ExitStack() as stack:
        lines = stack.enter_context(JsonLines(jsonl)) if jsonl else None
        mutate_files(selection.cases, where, imports, report, lines)
    if report.is_empty:
        skipped = f": {report.skipped} skipped" if report.skipped else ""
        click.echo(f"nothing selected{skipped}", err=True)
        return 2 if problems else NOTHING
    report.summary(time.perf_counter() - start)
    return 2 if problems else int(bool(report.wrong) or report.total.percent < (min_score or 0))


@cli.command()
@_paths
@_keyword
@_tags
@click.option("--device", help="auto, cpu, cuda, cuda:1 or all, in place of the cases' own.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="Only this one.")
@_allowed
@click.option(
    "--examples",
    type=click.IntRange(0, 100_000),
    default=100,
    show_default=True,
    help="Points that hypothesis looks at, beside those that are worth a look anyway.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of those.")
@_jsonl
@_quiet
def search(
    paths: Sequence[str],
    keyword: str,
    tags: Sequence[str],
    device: str | None,
    dtypes: Sequence[str],
    allowed: Sequence[str],
    examples: int,
    seed: int,
    jsonl: Path | None,
    quiet: bool,
) -> int:
    """Look for inputs at which a derivative is wrong, and print the simplest as a point.

    An error counts where it is larger than the case's `resolution`: what is smaller is a matter of
    rounding. Conditions and published numbers are not looked at.
    """
    start = time.perf_counter()
    selection = _selection(paths, keyword, tags)
    from gradcheck.report.findings import FindingsReport
    from gradcheck.report.jsonl import JsonLines
    from gradcheck.search.files import chosen_jobs, search_files

    settings = {"dtypes": dtypes, "device": device, "imports": _imports(allowed)}
    problems = _show_problems(selection.problems)
    work = {file: chosen_jobs(cases, **settings) for file, cases in selection.cases.items()}
    if not any(work.values()):
        click.echo("nothing selected", err=True)
        return 2 if problems else NOTHING
    report = FindingsReport(_console(), is_quiet=quiet)
    with ExitStack() as stack:
        lines = stack.enter_context(JsonLines(jsonl)) if jsonl else None
        try:
            search_files(work, report, lines, examples=examples, seed=seed)
        finally:
            report.summary(time.perf_counter() - start)
    return 2 if problems else int(bool(report.total.findings or report.total.failures))


@cli.command()
@click.argument("name")
@click.option(
    "--function",
    "formulas",
    multiple=True,
    metavar="FORMULA",
    help="A formula or, once for each step, `name: formula`.",
)
@click.option("--python", default="", metavar="MODULE:NAME", help="A function in Python instead.")
@click.option(
    "--at",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input: a number, a list or {shape: [3], sample: normal}.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    shell_complete=complete_file,
    help="Where it is added; by default cases/NAME.grad.yaml.",
)
@_allowed
def new(
    name: str,
    formulas: Sequence[str],
    python: str,
    values: Sequence[str],
    file: Path | None,
    allowed: Sequence[str],
) -> None:
    """Begin a case: write it into a file, its derivatives left to write."""
    from gradcheck.new.new import new_case, schema_for

    if bool(formulas) == bool(python):
        raise click.UsageError("give the function: by --function, or by --python")
    path = file or Path("cases", f"{name}.grad.yaml")
    begun = new_case(name, path, formulas, python, values, _imports(allowed))
    click.echo(f"{'wrote' if begun.is_first else 'added to'} {path}")
    for problem in begun.left:
        click.echo(problem)
    command = ["gradcheck", "run", f"{path}::{name}"]
    if python:
        command += ["--allow-import", python.partition(":")[0]]
    click.echo(f"then: {shlex.join(command)}")
    schema = schema_for(path)
    if begun.is_first and not schema.exists():
        shown = shlex.quote(os.path.relpath(schema))
        click.echo(f"for your editor to know the keys: gradcheck schema > {shown}")


@cli.command()
@_paths
@_github
def validate(paths: Sequence[str], github: str) -> int:
    """Read the files at PATHs and say all that is wrong with them; runs nothing."""
    selection = _selection(paths)
    from gradcheck.report.actions import is_told
    from gradcheck.report.github import GitHub

    problems = _show_problems(selection.problems)
    files = len(selection.files)
    told = f"{_plural(selection.count, 'case')} in {_plural(files, 'file')}" + (
        f", {_plural(problems, 'problem')}" if problems else ", all valid"
    )
    click.echo(told)
    if is_told(github):
        GitHub.of_problems(click.echo, selection.problems).finish(told)
    return 2 if problems else 0 if selection.count else NOTHING


@cli.command()
@click.argument("names", nargs=-1, metavar="[WORD]...", shell_complete=complete_word)
def words(names: Sequence[str]) -> None:
    """List the words that formulas may use, or show what there is to say of some."""
    from gradcheck.language.vocabulary import TOPICS

    if names:
        _describe(names)
        return
    for topic, listed in TOPICS.items():
        click.secho(f"\n{topic}", bold=True)
        width = max(len(word.usage) for word in listed)
        for word in listed:
            click.echo(f"  {word.usage.ljust(width)}  {word.doc}")
    click.echo("\nEvery word has a meaning in ball arithmetic: its derivative is known by proof.")


def _describe(names: Sequence[str]) -> None:
    """Each word's usage and the derivative that it states."""
    from gradcheck.language.spelling import suggestion
    from gradcheck.language.vocabulary import WORDS
    from gradcheck.rigorous.moves import MOVES, SUMS
    from gradcheck.rigorous.products import PRODUCTS

    for name in names:
        word = WORDS.get(name)
        if word is None:
            raise click.UsageError(f"`{name}` is not a word{suggestion(name, WORDS) or ''}")
        click.secho(word.usage, bold=True)
        click.echo(f"  {word.doc}")
        click.echo(f"  in torch: {word.torch}")
        if name in MOVES:
            click.echo("  moves entries, and so tangents, and cotangents back")
        if name in SUMS:
            click.echo("  sums entries that it moves, and so tangents; moves cotangents back")
        if name in PRODUCTS:
            click.echo("  is made of other words, which state their derivatives")
        for argument, statement in word.derivatives.items():
            what = "cotangent of" if word.is_pulled_back else "derivative by"
            click.echo(f"  {what} {argument}: {statement}")


@cli.command()
def conditions() -> None:
    """List what a function in Python must survive, by the names that cases may give."""
    from gradcheck.conditions.names import CONDITIONS, DEFAULT, OPT_IN

    width = max(map(len, CONDITIONS))
    for title, listed in (
        ("looked at unless a case says otherwise", DEFAULT),
        ("looked at where a case names it", OPT_IN),
    ):
        click.secho(f"\n{title}", bold=True)
        for name, sentence in listed.items():
            click.echo(f"  {name.ljust(width)}  {sentence}")
    click.echo("\nIn a case: `conditions: none`, or a list, as in [all, vmap, -double_backward].")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of case files."""
    from gradcheck.casefile.models import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _selection(paths: Iterable[str], keyword: str = "", tags: Sequence[str] = ()) -> Selection:
    from gradcheck.selection import select

    return select(list(paths) or ["cases"], keyword, tags)


def _device(name: str) -> str:
    """One device, as it is called here.

    Raises:
        UsageError: There is none.
    """
    from gradcheck.devices import available, choose

    (where, chosen), *_ = choose([name], available()).items()
    if not chosen.is_there:
        raise click.UsageError(f"there is no device {name} here")
    return where


def _imports(allowed: Sequence[str]) -> Imports:
    """What may be imported: first from where the command is run."""
    from gradcheck.imports import Imports

    return Imports.of(allowed, os.getcwd())


def _show_problems(problems: Sequence[Problem]) -> int:
    """Prints every problem of the files with its line and a caret; returns how many."""
    for problem in problems:
        click.echo(problem.with_caret(), err=True)
    return len(problems)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
