"""The tutorial notebook: it runs, and shows what its words say."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import browser
import pytest

import gradcheck

NOTEBOOK = Path(__file__).parent.parent / "docs/tutorial.ipynb"
ADVICE = "needs nbclient and ipykernel: `pip install -e '.[test]'`"


@pytest.fixture(scope="module")
def outputs():
    """What each cell of code shows, by MIME type; of other cells nothing."""
    if not all(map(importlib.util.find_spec, ("nbclient", "ipykernel"))):
        pytest.skip(ADVICE)
    # In a process of its own: clients of kernels warn of what an event loop leaves behind.
    code = (
        "import sys, nbformat, nbclient; notebook = nbformat.read(sys.argv[1], as_version=4);"
        "nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3').execute();"
        "print(nbformat.writes(notebook))"
    )
    command = [sys.executable, "-c", code, str(NOTEBOOK)]
    on_the_cpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=400, check=True, env=on_the_cpu
    )
    cells = [cell for cell in json.loads(run.stdout)["cells"] if cell["cell_type"] == "code"]
    return [cell["outputs"][0]["data"] for cell in cells if cell["outputs"]]


def html(output):
    text = output["text/html"]
    return text if isinstance(text, str) else "".join(text)


def test_a_derivative_is_checked_in_one_call():
    first = next(
        c for c in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if c["cell_type"] == "code"
    )
    assert "".join(first["source"]).count("\n") < 10


def test_the_notebook_shows_what_it_says(outputs):
    right, chain, jacobian, kernel, ok = outputs
    assert "<b>1</b> passed" in html(right)
    assert "the factor <code>dy/dx</code> is missing" in html(chain)
    assert html(chain).count("<mfrac>") >= 4
    assert html(jacobian).count('class="gc-mark"') == 1  # the worst entry
    assert "adds up what is broadcast" in html(kernel)
    assert ok["text/plain"] in ("False", ["False"])


def test_no_output_is_kept_in_the_notebook():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_a_report_in_a_notebook_needs_no_script_and_nothing_from_elsewhere():
    text = gradcheck.check("x**2", {"x": [1.0, 2.0]}, derivatives={"x": "3*x"})._repr_html_()
    assert "<script" not in text
    assert not re.search(r"(?:src|href|url)\s*[=(]", text)
    assert "repeat:" not in text


def test_styles_of_a_report_stay_within_it():
    text = gradcheck.check("x", {"x": 1.0}, derivatives={"x": "1"})._repr_html_()
    style = re.sub(
        r"/\*.*?\*/", "", text.partition("<style>")[2].partition("</style>")[0], flags=re.DOTALL
    )
    selectors = [
        one.strip() for rule in re.findall(r"([^{}]+)\{", style) for one in rule.split(",")
    ]
    assert selectors
    strangers = [
        one for one in selectors if not re.search(r"\.gc\b|\.gc-|\.is-|^@media|max-width", one)
    ]
    assert not strangers


@pytest.mark.skipif(browser.program() is None, reason=browser.ADVICE)
def test_what_the_notebook_shows_is_drawn(outputs, tmp_path):
    path = tmp_path / "outputs.html"
    path.write_text(f"<!doctype html>{html(outputs[1])}{html(outputs[2])}", encoding="utf-8")
    with browser.browser(browser.program()) as chromium:
        page = chromium.new_page(viewport={"width": 900, "height": 900})
        page.goto(path.as_uri())
        strips = page.locator(".gc-strip")
        assert strips.count() == 8
        boxes = [strips.nth(index).bounding_box() for index in range(8)]
        assert all(30 < box["height"] < 50 and box["width"] > 100 for box in boxes)
        assert page.locator(".gc-cells svg").bounding_box()["width"] > 100
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.skipif(browser.program() is None, reason=browser.ADVICE)
def test_a_report_is_dark_where_the_notebook_says_that_it_is(tmp_path):
    dark = (
        'data-jp-theme-light="false"',
        'class="vscode-dark"',
        'data-vscode-theme-kind="vscode-high-contrast"',
        'theme="dark"',
    )
    shown = gradcheck.check("x", {"x": 1.0}, derivatives={"x": "1"})._repr_html_()
    path = tmp_path / "themes.html"
    path.write_text("".join(f"<div {one}>{shown}</div>" for one in ("", *dark)), encoding="utf-8")
    with browser.browser(browser.program()) as chromium:
        page = chromium.new_page()
        page.goto(path.as_uri())
        schemes = page.locator(".gc-notebook").evaluate_all(
            "all => all.map(one => getComputedStyle(one).colorScheme)"
        )
    assert schemes == ["light", *["dark"] * len(dark)]
