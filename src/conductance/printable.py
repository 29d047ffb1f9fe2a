"""Text of anybody, made harmless for the place where it is shown: a terminal, a page, a cell of a spreadsheet."""

import re
import unicodedata

from conductance.errors import InputError

_KEPT = "\n\t"
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, invisible ones (which turn the direction of a line, for example), lone
surrogates, and separators of lines."""

_JOINERS = "\u200c\u200d"
"""Invisible, but part of words in some languages and of some emoji."""


def is_printable(text: str) -> bool:
    """Whether every character of a name can be seen, and written as UTF-8."""
    return (text.isascii() and text.isprintable()) or not any(_is_hidden(character) for character in text)


def printable(text: str, *, kept: str = "") -> str:
    r"""Text in which characters that a terminal would obey, or nobody would see, are spelt out.

    >>> printable("run\x1b[2J")
    'run\\x1b[2J'

    Args:
        text: any text.
        kept: control characters that are meant, such as the ends of lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _spelt(character) if _is_hidden(character) and character not in kept else character for character in text
    )


LONGEST = 200
"""Bytes of the longest name; a folder that is named after it has a few more, and file systems take 255."""


def check_name(what: str, name: str) -> None:
    """Check a name that tables, pages and folders will show.

    Raises:
        InputError: it holds characters that cannot be seen or are not UTF-8, or is too long.
    """
    if not is_printable(name):
        raise InputError(
            f"{what}={printable(name)[:80]}: holds characters that cannot be shown (control characters, or bytes that "
            "are not UTF-8); choose another name"
        )
    if len(name.encode()) > LONGEST:
        raise InputError(f"{what}={name[:40]}...: has {len(name.encode())} bytes; choose a name of {LONGEST} at most")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode()


def cell(value: object) -> object:
    """A value for a cell of a CSV file: text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> cell("=1+1"), cell("-0.5"), cell("cwa")
    ("'=1+1", '-0.5', 'cwa')
    """
    if not isinstance(value, str) or not _is_formula(value):
        return value
    return f"'{value}"


def _is_formula(text: str) -> bool:
    return (text.lstrip()[:1] in tuple("=+-@") or text[:1] in tuple("\t\r\n")) and not _is_number(text)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def in_figure(text: str) -> str:
    """Text that matplotlib shows as it is: a dollar sign begins no formula."""
    return printable(text, kept="\n").replace("$", r"\$")


_MARKDOWN = re.compile(r"[\\`*\[\]<>|~]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""What Markdown, or HTML in it, would read as more than a character."""


def in_markdown(text: str) -> str:
    r"""Text on one line of Markdown, in a table too, that is shown as it is: no link, no emphasis, no HTML.

    >>> in_markdown("cwa_bn | <b>")
    'cwa_bn \\| \\<b\\>'
    """
    return _MARKDOWN.sub(r"\\\g<0>", printable(" ".join(text.split())))


def code_in_markdown(text: str) -> str:
    """Text on one line as code in Markdown, whatever backticks and bars it holds.

    >>> code_in_markdown("a `b`")
    '``a `b` ``'
    """
    text = printable(" ".join(text.split())).replace("|", r"\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    before, after = (" " if text.startswith("`") else ""), (" " if text.endswith("`") else "")
    return f"{fence}{before}{text}{after}{fence}"
