"""Chromium, driven by Playwright, as a reader of a page has it."""

import importlib.util
import os
import shutil
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "GRADCHECK_CHROMIUM"
"""Where the program is, if not by one of these names on the path."""
ADVICE = (
    "needs Playwright and Chromium: `pip install -e '.[test]'`, and `apt-get install chromium` or "
    f"the program's path in {VARIABLE}"
)


def program():
    """The path of Chromium; None where it, or what drives it, is absent."""
    if importlib.util.find_spec("playwright") is None:
        return None
    found = (shutil.which(name) for name in (os.environ.get(VARIABLE, ""), *NAMES) if name)
    return next(filter(None, found), None)


@contextmanager
def browser(path):
    """A running Chromium; root has to run it without a sandbox."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        arguments = ["--no-sandbox"] if is_root else []
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield running
        finally:
            running.close()


def expect(locator):
    """Asserts on what becomes true in a moment; a page's policy lets it evaluate no text."""
    from playwright.sync_api import expect

    return expect(locator)
