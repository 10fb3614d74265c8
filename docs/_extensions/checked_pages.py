"""A Sphinx extension that checks the pages after a build, which fails if they have errors.

The folder with the HTML pages goes in; a list of errors comes out. An error is a link to a page, a file or an anchor that does not
exist, or a script, a style sheet, an image or a font that is loaded from another server.
"""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "object": "data"}
LOADING_RELATIONS = {"stylesheet", "icon", "shortcut icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}
_IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The anchors of a page, the targets of its links, and the addresses from which it loads files."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[name] for name in ("id", "name") if found.get(name))
        self.loaded += _IN_STYLES.findall(found.get("style") or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in LOADING and found.get(LOADING[tag]):
            self.loaded.append(found[LOADING[tag]])
        if tag == "link" and found.get("rel") in LOADING_RELATIONS:
            self.loaded.append(found.get("href") or "")


def errors_of_pages(folder):
    """Return a list of texts, one for each error in the HTML pages and style sheets of a folder."""
    folder = Path(folder).resolve()

    @cache
    def page(path):
        return Page(path.read_text(encoding="utf-8"))

    errors = []
    for path in sorted(set(folder.rglob("*.html")) - set(folder.glob("_static/**/*"))):
        name = path.relative_to(folder).as_posix()
        errors += [f"{name} loads {address}" for address in page(path).loaded if urlsplit(address).netloc]
        for target in [*page(path).links, *page(path).loaded]:
            problem = _problem(target, path, folder, page)
            errors += [f"{name} links to {target}: {problem}"] if problem else []
    for path in sorted(folder.rglob("*.css")):
        addresses = _IN_STYLES.findall(path.read_text(encoding="utf-8"))
        errors += [f"{path.relative_to(folder).as_posix()} loads {address}" for address in addresses]
    return errors


def _problem(target, source, folder, page):
    """Return the reason why a link is broken, or None. Links to other servers are not checked."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    path = (source.parent / unquote(parts.path)).resolve() if parts.path else source
    path = path / "index.html" if path.is_dir() else path
    if not path.is_file() or not path.is_relative_to(folder):
        return "the file does not exist"
    is_missing = parts.fragment and path.suffix == ".html" and unquote(parts.fragment) not in page(path).anchors
    return "the anchor does not exist" if is_missing else None


def check_build(app, exception):
    """Report the errors of the pages that were built, and set the exit status of the build."""
    from sphinx.util import logging  # the functions above are tested without Sphinx

    if exception is None and app.builder.format == "html":
        for error in errors_of_pages(app.outdir):
            logging.getLogger(__name__).warning(error)
            app.statuscode = 1


def setup(app):
    """Check the pages at the end of a build."""
    app.connect("build-finished", check_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
