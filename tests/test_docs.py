"""The pages in `docs/`: their code runs, every page can be reached, and the API reference has every public name.

`make docs` runs these tests, too, and builds the pages. It checks the links of the built pages, and that they load nothing from
other servers, with functions in `docs/_extensions` that are tested here.
"""

import ast
import importlib.util
import posixpath
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
from pages import failures_in
from test_public_names import PUBLIC_NAMES, exported

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = ("_build", "auto_examples", "api/generated", "api/backreferences", "sg_execution_times.rst")
# tests/test_equations.py, tests/tools/test_page.py and tests/tools/test_dask.py run the examples on these pages.
RUN_ELSEWHERE = {"equations", "pt/equations", "other_tools", "user_guide/cluster"}


def extension(name):
    """A module of `docs/_extensions`."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages():
    """The names of all pages in `docs/`, relative to it and without a suffix, and their paths."""
    paths = [path for suffix in ("md", "rst") for path in DOCS.rglob(f"*.{suffix}")]
    names = {path.relative_to(DOCS).as_posix(): path for path in sorted(paths)}
    return {name.rpartition(".")[0]: path for name, path in names.items() if not name.startswith((*GENERATED, "_templates"))}


PAGES = pages()


def text_of(name):
    """The text of a page."""
    return PAGES[name].read_text(encoding="utf-8")


# ---------------------------------------------------------------------- the code on the pages


@pytest.fixture
def no_windows():
    """matplotlib opens no windows; the figures are closed at the end."""
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.mark.slow
@pytest.mark.usefixtures("no_windows")
@pytest.mark.parametrize("name", sorted({name for name in PAGES if ">>>" in text_of(name)} - RUN_ELSEWHERE))
def test_code_on_pages_runs(name):
    assert failures_in(text_of(name), name) == ""


@pytest.mark.parametrize("name", [name for name, path in PAGES.items() if path.suffix == ".md"])
def test_python_code_has_prompts_so_that_it_is_run(name):
    text = text_of(name)
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if not block.startswith(">>> ")] == []
    assert not re.search(r"^```py(?:con|3)?$|^```\{(?:code-block|testcode|doctest)", text, re.MULTILINE)


def test_failures_on_pages_are_found():
    page = "# Title\n\n```python\n>>> 1 + 1\n2\n```\n\n```text\n>>> 1 + 1\n3\n```\n\n```python\n>>> 1 + 1\n4\n```\n"
    report = failures_in(page)
    assert "line 14" in report
    assert report.count("Failed example") == 1
    assert failures_in(page.replace("4", "2")) == ""


def test_warnings_on_pages_are_failures():
    page = "```python\n>>> import warnings\n>>> warnings.warn('w', UserWarning)\n```\n"
    assert "UserWarning" in failures_in(page)


# ---------------------------------------------------------------------- the table of contents


def entries_of_toctrees(text, folder):
    """The names of the pages in the tables of contents of a page in a folder."""
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.strip() and not line.startswith(":"):
                target = line.rpartition("<")[2].rstrip(">").strip()
                yield posixpath.normpath(posixpath.join(folder, target)).lstrip("/")


def reached(name="index"):
    """The names of a page and of all pages in the tables of contents below it."""
    yield name
    if name in PAGES:
        for below in entries_of_toctrees(text_of(name), posixpath.dirname(name)):
            yield from reached(below)


def test_every_page_is_in_one_table_of_contents():
    found = list(reached())
    assert sorted(found) == sorted([*PAGES, "auto_examples/index"])  # the build creates the pages of the examples


def constants_of(name):
    """The tuples and dicts that a module of `docs/_extensions` defines, by name. It is not imported, because it needs Sphinx."""
    found = {}
    for node in ast.parse((DOCS / "_extensions" / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Dict, ast.Tuple)):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_entries_of_toctrees_are_found():
    text = "```{toctree}\n:hidden:\n\nOne <one>\nfolder/two\n../three\n```\n"
    assert list(entries_of_toctrees(text, "user_guide")) == ["user_guide/one", "user_guide/folder/two", "three"]


def test_files_that_pages_include_exist():
    for path in PAGES.values():
        for file in re.findall(r"^```\{include\} (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert (path.parent / file).is_file(), f"{path} includes {file}"
    root = DOCS.parent
    assert [name for name in constants_of("repository")["PAGES"] if not (root / name).is_file()] == []


# ---------------------------------------------------------------------- the API reference


def names_in_reference(text):
    """The full names in the autosummary tables of a page."""
    module, is_table = "", False
    for line in text.splitlines():
        if line.startswith(".. "):
            module = line.partition(":: ")[2] if line.startswith(".. currentmodule::") else module
            is_table = line.startswith(".. autosummary::")
        elif is_table and line.strip() and not line.strip().startswith(":"):
            if line.startswith("   "):
                yield f"{module}.{line.strip()}"
            else:
                is_table = False


def test_reference_has_every_public_name():
    listed = list(names_in_reference((DOCS / "api" / "index.rst").read_text(encoding="utf-8")))
    assert len(listed) == len(set(listed))
    public = {f"{module}.{name}": value for module in PUBLIC_NAMES for name, value in exported(module).items()}
    assert [name for name in listed if name not in public] == []
    values = [public[name] for name in listed]
    assert [name for name, value in public.items() if not any(value is other for other in values)] == []


def test_names_in_reference_are_found():
    text = ".. currentmodule:: a.b\n\n.. autosummary::\n   :toctree: generated\n\n   C\n   d\n\nText.\n\n   e\n"
    assert list(names_in_reference(text)) == ["a.b.C", "a.b.d"]


# ---------------------------------------------------------------------- the check of the built pages


PAGE = """<html><head><link rel="stylesheet" href="style.css?v=1"><script src="script.js"></script></head>
<body><h1 id="top">Title</h1><a href="#top">top</a><a href="other.html#part">other</a><a href="http://example.org/a">link</a>
<img src="picture.png" style="color: red"></body></html>"""


@pytest.mark.parametrize(
    ("right", "wrong", "errors"),
    [
        ("", "", []),
        ("script.js", "https://example.org/x.js", ["index.html loads https://example.org/x.js"]),
        ("style.css?v=1", "//example.org/x.css", ["index.html loads //example.org/x.css"]),
        ("color: red", "background: url(https://example.org/x.png)", ["index.html loads https://example.org/x.png"]),
        ("picture.png", "missing.png", ["index.html links to missing.png: the file does not exist"]),
        ("#top", "#bottom", ["index.html links to #bottom: the anchor does not exist"]),
        ("#part", "#parts", ["index.html links to other.html#parts: the anchor does not exist"]),
        ("other.html", "../other.html", ["index.html links to ../other.html#part: the file does not exist"]),
    ],
)
def test_errors_of_built_pages_are_found(tmp_path, right, wrong, errors):
    folder = tmp_path / "html"
    folder.mkdir()
    (tmp_path / "other.html").write_text("outside")
    (folder / "index.html").write_text(PAGE.replace(right, wrong, 1) if right else PAGE)
    (folder / "other.html").write_text('<p id="part">')
    for name in ("style.css", "script.js", "picture.png"):
        (folder / name).write_text("")
    assert extension("checked_pages").errors_of_pages(folder) == errors


def test_fonts_of_other_servers_are_found(tmp_path):
    (tmp_path / "style.css").write_text(
        '@import "https://example.org/a.css"; a { src: url("//example.org/b.woff2"), url(c.woff2) }'
    )
    errors = extension("checked_pages").errors_of_pages(tmp_path)
    assert errors == ["style.css loads https://example.org/a.css", "style.css loads //example.org/b.woff2"]


def test_pages_name_no_scripts_or_styles_of_other_servers():
    sources = [*PAGES.values(), *(DOCS / "_static").rglob("*.*"), *(DOCS / "_templates").rglob("*.*"), DOCS / "conf.py"]
    loading = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(?:https?:)?//|!\[[^\]]*\]\(https?:""")
    assert [path for path in sources if path.suffix != ".png" and loading.search(path.read_text(encoding="utf-8"))] == []
