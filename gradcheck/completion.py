"""What a shell offers while a command is typed: case files, cases, words and tags.

Files are read as YAML alone, so that neither torch nor the models of cases are waited for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from click import Context, Parameter
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

if TYPE_CHECKING:
    from gradcheck.casefile.document import Document

Items = list[CompletionItem]


def complete_path(context: Context, parameter: Parameter, incomplete: str) -> Items:
    """Case files, and the cases of a file after `FILE::`."""
    file, colons, start = incomplete.partition("::")
    if not colons:
        return complete_file(context, parameter, incomplete)
    return _starting(f"{file}::", start, _read(Path(file).expanduser()).mapping("cases"))


def complete_file(context: Context, parameter: Parameter, incomplete: str) -> Items:
    """Case files, and the folders that may hold some."""
    from gradcheck.casefile.files import SUFFIX

    folder, start = os.path.split(incomplete)
    names = [path for path in _inside(folder) if path.name.startswith(start)]
    files = [path.name for path in names if path.name.endswith(SUFFIX)]
    folders = [f"{path.name}/" for path in names if path.is_dir()]
    if folders and not files:
        return [CompletionItem(incomplete, type="dir")]  # which a shell goes on from, at the slash
    return [CompletionItem(os.path.join(folder, name)) for name in (*folders, *files)]


def complete_word(context: Context, parameter: Parameter, incomplete: str) -> Items:
    """Words of formulas, with what each is."""
    from gradcheck.language.vocabulary import WORDS

    return [
        CompletionItem(name, help=word.doc)
        for name, word in sorted(WORDS.items())
        if name.startswith(incomplete)
    ]


def complete_tag(context: Context, parameter: Parameter, incomplete: str) -> Items:
    """Tags of the files that the command names, or of the folder `cases`."""
    tags: set[str] = set()
    # Where the option has no value yet, click has not told paths from other arguments.
    for file in _files(context.params["paths"] or context.args or ("cases",)):
        document = _read(file)
        for path in [("defaults",), *(("cases", name) for name in document.mapping("cases"))]:
            written = document.mapping(*path).get("tags")
            listed = written if isinstance(written, list) else [written]
            tags.update(tag for tag in listed if isinstance(tag, str))
    return _starting("", incomplete, sorted(tags))


def _starting(before: str, start: str, names: Iterable[str]) -> Items:
    return [CompletionItem(before + name) for name in names if name.startswith(start)]


def _inside(folder: str) -> Sequence[Path]:
    """What stands in a folder, but what is hidden; nothing where it cannot be read."""
    with suppress(OSError):
        listed = sorted(Path(folder).expanduser().iterdir())
        return [path for path in listed if not path.name.startswith(".")]
    return []


def _files(paths: Iterable[str]) -> Iterator[Path]:
    from gradcheck.casefile.files import find
    from gradcheck.errors import UsageError

    for path in paths:
        with suppress(UsageError):
            yield from find([path.partition("::")[0]])


def _read(file: Path) -> Document:
    from gradcheck.casefile.document import Document

    return Document.read(file)


@add_completion_class
class _Bash(BashComplete):
    """bash takes `FILE::CASE` for three words, unless in quotes, and fills in the last alone.

    What is filled in stands as it is, so a space in it is escaped where no quote was opened.
    """

    _before = ""
    """What stands there already, before the word that is filled in."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, last = super().get_completion_args()
        joined = re.sub("\0?::\0?", "::", "\0".join([*args, last]))
        *args, incomplete = joined.split("\0")
        self._before = incomplete if last == "::" else incomplete.removesuffix(last)
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        value = item.value.removeprefix(self._before)
        last = os.environ["COMP_WORDS"].split("\n")[-1]
        if item.type == "plain" and not last.startswith(("'", '"')):
            # Twice, as one is read by click's script.
            value = re.sub(r"[^\w./:=@%+,~-]", r"\\\\\g<0>", value)
        return f"{item.type},{value}"
