"""The configuration of Sphinx: `make docs` builds the documentation into docs/_build/html.

The build needs no network. Formulas are MathML, which browsers display without scripts (`_extensions/mathml.py`). Links between the
Markdown files of the repository, which also work on a code hosting site, become links between pages (`_extensions/repository.py`).
"""

import sys
from pathlib import Path

import fastbp

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
sys.path.insert(0, str(HERE / "_extensions"))

# ---------------------------------------------------------------------- project

project = "fastbp"
author = "the fastbp developers"
copyright = author
version = release = fastbp.__version__
language = "en"

# ---------------------------------------------------------------------- extensions

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
    "mathml",
    "repository",
    "checked_pages",
]
exclude_patterns = ["_build", "_templates", "_extensions"]
templates_path = ["_templates"]
nitpicky = True
smartquotes = False  # the names of options are in single quotes
default_role = "name"  # names in single backquotes in docstrings

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings describe the types
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = True

myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath", "deflist", "attrs_inline"]
myst_heading_anchors = 4

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

# ---------------------------------------------------------------------- examples

sphinx_gallery_conf = {
    "examples_dirs": [str(EXAMPLES)],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"\.py$",  # all examples are executed
    "ignore_pattern": r"(^|/)_[^/]*\.py$",
    "doc_module": ("fastbp",),
    "reference_url": {"fastbp": None},
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_", "__repr__"),
}

plot_html_show_formats = plot_html_show_source_link = False
plot_formats = [("png", 110)]

# ---------------------------------------------------------------------- HTML

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "fastbp"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {page: [] for page in ("index", "equations", "pt/equations", "benchmarks", "changelog")}
html_theme_options = {
    "logo": {"text": "fastbp"},
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}


def set_language_and_title(app, pagename, templatename, context, doctree):
    """Declare the language of the pages in Portuguese, and remove the second "fastbp" from the title of the start page."""
    if pagename.startswith("pt/"):
        context["language"] = "pt-BR"
    if pagename == "index":
        context["docstitle"] = ""


def setup(app):
    """Connect the functions of this file."""
    app.connect("html-page-context", set_language_and_title)
