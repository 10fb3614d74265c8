"""The browser and the server for the tests of the page.

Chromium is the program that the environment variable FASTBP_CHROMIUM names, ``chromium`` on the PATH, or the version that
``playwright install chromium`` has installed. `make test-browser` runs these tests; `make test` does not collect this folder.
"""

import os
import shutil

import pytest
from playground_server import running_server, wait_until, worker_threads
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=60_000)  # milliseconds; the first training compiles kernels


@pytest.fixture(scope="session")
def browser():
    """Chromium; it resolves the name of another site to this machine, as in an attack by DNS rebinding."""
    path = os.environ.get("FASTBP_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = ["--host-resolver-rules=MAP other-site.example 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def port():
    """The port of the server."""
    with running_server() as port:
        yield port


@pytest.fixture
def open_page(browser, port):
    """A function that opens the playground with settings in a new tab; errors of the page fail the test."""
    contexts, errors = [], []

    def open_tab(fragment="", *, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{port}/#{fragment}")
        return page

    yield open_tab
    for context in contexts:
        context.close()
    wait_until(lambda: not worker_threads())
    assert errors == []
