"""A Sphinx extension that writes formulas as MathML.

LaTeX goes in; MathML comes out, which current browsers display and screen readers read without scripts or a network. A part of the
font STIX Two Math, which the package ziamath contains, is copied to the pages, because not every computer has a font for formulas.
A formula that cannot be converted causes a warning, which is an error in `make docs`.
"""

import re
from pathlib import Path

import ziamath
from docutils import nodes
from fontTools import subset
from latex2mathml.converter import convert
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
FONT = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
# first and last characters of Latin, Greek, punctuation, letters, arrows, operators, brackets, bold and italic letters
CHARACTERS = (
    *((0x20, 0x7E), (0xA0, 0xFF), (0x2C6, 0x2DC), (0x300, 0x338), (0x391, 0x3F5), (0x2010, 0x205F), (0x2070, 0x209C)),
    *((0x2102, 0x213C), (0x2190, 0x21D5), (0x2200, 0x22EF), (0x2308, 0x230B), (0x23DE, 0x23DF), (0x27E8, 0x27E9)),
    *((0x1D400, 0x1D467), (0x1D6A4, 0x1D71B)),
)

# a minus after an opening bracket, a comma, a relation, an arrow or a sign of multiplication is a sign and not a subtraction
_SIGN = re.compile(
    r"(<mo(?: [^>]*)?>(?:\[|&#x0(?:0028|002C|003D|003C|003E|2264|2265|2248|2190|2192|00B7);)</mo>)<mo>&#x02212;</mo>"
)


def mathml_of(node, display):
    """Return the MathML of a formula; warn if it cannot be converted."""
    try:
        return with_signs(convert(aligned(node.astext()), display=display))
    except Exception as error:  # latex2mathml raises errors of many types
        LOGGER.warning(
            "the formula %r cannot be converted to MathML: %s %s", node.astext(), type(error).__name__, error, location=node
        )
        return f"<code>{nodes.unescape(node.astext())}</code>"


def with_signs(mathml):
    """Return MathML in which a minus that is a sign has the spaces of a prefix, and not those of a subtraction."""
    return _SIGN.sub(r'\1<mo form="prefix">&#x02212;</mo>', mathml)


def aligned(formula):
    """Return a formula of several lines in the environment that latex2mathml can align at the characters &."""
    formula = formula.replace("{aligned}", "{split}")
    is_open = "\\\\" in formula and "\\begin{" not in formula
    return f"\\begin{{split}}{formula}\\end{{split}}" if is_open else formula


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


def write_font(app, exception):
    """Write the part of the font with `CHARACTERS` to the static files of the pages, where `custom.css` expects it."""
    target = Path(app.outdir) / "_static" / "formulas.woff"
    if exception is None and app.builder.format == "html" and not target.exists():
        options = subset.Options(flavor="woff", layout_features=["*"], name_IDs=["*"])
        font, subsetter = subset.load_font(FONT, options), subset.Subsetter(options)
        subsetter.populate(unicodes=[code for first, last in CHARACTERS for code in range(first, last + 1)])
        subsetter.subset(font)
        subset.save_font(font, target, options)


def setup(app):
    """Register the renderer."""
    app.connect("build-finished", write_font)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
