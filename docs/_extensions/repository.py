"""A Sphinx extension for the Markdown files and the docstrings of the repository.

The Markdown files link to each other with relative paths. For files that are pages, the links become links between pages; of links
to other files, the text remains. Names in single backquotes in docstrings become links to the API reference if they are documented
there, and code otherwise.
"""

import posixpath
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxRole

# the pages that include a file of the repository
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "development/contributing.md",
    "bench/README.md": "development/benchmarking.md",
    "bench/results/peers.md": "benchmarks.md",
}
ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#|/)([^)#\s]+)(#[^)\s]*)?\)")


def with_page_links(text, folder):
    """Return Markdown in which links relative to a folder of the repository are links to pages, or only the text of the link."""

    def replaced(match):
        label, path, anchor = match[1], posixpath.normpath(posixpath.join(folder, match[2])), match[3] or ""
        page = PAGES.get(path, path.removeprefix("docs/") if path.startswith("docs/") and (ROOT / path).is_file() else None)
        return label if page is None else f"[{label}](/{page}{anchor})"

    return _LINK.sub(replaced, text)


def convert_included(app, path, docname, content):
    """Convert the links of a file that a page includes; ``path`` is relative to the folder docs."""
    content[0] = with_page_links(content[0], posixpath.normpath(posixpath.join("docs", Path(path).parent.as_posix())))


def convert_page(app, docname, content):
    """Convert the links of a page."""
    if app.env.doc2path(docname).suffix == ".md":
        content[0] = with_page_links(content[0], posixpath.join("docs", posixpath.dirname(docname)))


class Name(SphinxRole):
    """A name in single backquotes: a reference to a documented object, which may not exist."""

    def run(self):
        options = {"refdomain": "py", "reftype": "obj", "reftarget": self.text, "refdoc": self.env.docname, "optional": True}
        node = addnodes.pending_xref(self.rawtext, nodes.literal(self.text, self.text), **options)
        node["py:module"], node["py:class"] = self.env.ref_context.get("py:module"), self.env.ref_context.get("py:class")
        return [node], []


def keep_text(app, env, node, contnode):
    """Return the text of a reference without a link, if it is a name that is not documented, or refers to scikit-learn's pages."""
    of_sklearn = "docstring of sklearn." in (node.source or "") or node["reftarget"].startswith("sklearn.")
    return contnode if node.get("optional") or of_sklearn else None


def setup(app):
    """Connect the functions with Sphinx."""
    app.connect("source-read", convert_page)
    app.connect("include-read", convert_included)
    app.connect("missing-reference", keep_text)
    app.add_role("name", Name())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
