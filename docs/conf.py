"""How the site is built: `make docs`.

The source folder is the repository's root, so that pages link to one another here as they do on a host of repositories.
"""

import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.ext.napoleon import GoogleDocstring

import conductance
from conductance.live import write_page
from conductance.share.source import Source

project = "conductance"
author = "The conductance authors"
copyright = "the conductance authors"
release = version = conductance.__version__

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "studies/README.md",
    "studies/*/README.md",
    "results/README.md",
    "benchmarks/README.md",
    "*.md",
]
exclude_patterns = ["docs/_build", "README.md", "docs/static", "docs/site_root"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]

# Pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["toc.not_included"]  # each study has its page, which studies/README.md leads to
mathjax_path = "mathjax/tex-svg.js"  # its license is beside it
nb_execution_mode = "cache"
nb_execution_excludepatterns = os.environ.get("TUTORIALS_NOT_RUN", "").split()  # by the tests, which run their cells
if nb_execution_excludepatterns:
    suppress_warnings.append("myst-nb.lexer")  # a kernel would say what language a cell is in
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm would like a widget
os.environ["MATPLOTLIBRC"] = str(Path(__file__).parent / "matplotlibrc")  # read by the tutorials' kernels
nb_execution_raise_on_error = True
nb_execution_timeout = 180

# Reference
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures show them already
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

default_role = "py:obj"


def _whole(docstring):
    """An attribute's docstring as text alone; napoleon takes what stands before a colon for its type."""
    return "", docstring._dedent(docstring._consume_to_end())


GoogleDocstring._consume_inline_attribute = _whole

# Look
html_theme = "furo"
html_title = f"conductance {version}"
html_static_path = ["static"]
html_extra_path = ["site_root"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False


def _skip_member(app, what, name, member, skip, options):
    """Skip what others wrote: Python's words about fields of named tuples, scikit-learn's methods to route metadata."""
    is_field = (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
    routes = name.startswith("set_") and name.endswith("_request")
    return True if is_field or routes else None


def _without_links_to_folders(app, page, source):
    """Turn links to folders, and to files that are no pages of the site, into plain text."""
    folder = Path(app.env.doc2path(page)).parent

    def text_or_link(found):
        target = folder / found["target"]
        is_page = target.suffix != ".md" or app.env.path2doc(str(target.resolve())) in app.env.found_docs
        return found["text"] if target.is_dir() or not is_page else found[0]

    source[0] = re.sub(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)#:]+)\)", text_or_link, source[0])


def _with_live_page(app, exception):
    """Write the live page of the network that comes with the package into the site."""
    if exception is None and app.builder.format == "html":
        names = ("mnist-small", "mnist-small-batchnorm")
        write_page(app.outdir / "docs" / "live", *(Source.of(Path(name)) for name in names))


def _describe_figures(app, doctree):
    """Describe each figure of a tutorial, for those who do not see it, by the paragraph below it: its caption."""
    caption = ""
    for node in reversed(list(doctree.findall(lambda node: isinstance(node, nodes.image | nodes.paragraph)))):
        if isinstance(node, nodes.paragraph):
            caption = node.astext() or caption
        elif not node.get("alt"):
            node["alt"] = caption


def setup(app):
    """What Sphinx calls first."""
    app.connect("build-finished", _with_live_page)
    app.connect("source-read", _without_links_to_folders)
    app.connect("autodoc-skip-member", _skip_member)
    app.connect("doctree-read", _describe_figures)
