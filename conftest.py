"""Makes the project's root the one that tests and cases are found from."""

pytest_plugins = ["pytester"]
