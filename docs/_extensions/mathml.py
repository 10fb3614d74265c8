"""A Sphinx extension that writes formulas as MathML.

LaTeX goes in; MathML comes out, which current browsers display and screen readers read without scripts, fonts or a network. A
formula that cannot be converted causes a warning, which is an error in `make docs`.
"""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def mathml_of(node, display):
    """Return the MathML of a formula; warn if it cannot be converted."""
    try:
        return convert(node.astext(), display=display)
    except Exception as error:  # latex2mathml raises errors of many types
        LOGGER.warning("the formula %r cannot be converted to MathML: %s %s", node.astext(), type(error).__name__, error, location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def visit_inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(mathml_of(node, "inline"))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula in a block of its own, with its number if it has a label."""
    translator.body.append(translator.starttag(node, "div", CLASS="math-block"))
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({node["number"]})</span>')
    translator.body.append(mathml_of(node, "block") + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
