"""Text from outside: made storable and harmless once, where it enters."""

import re
import unicodedata

NAME_LENGTH = 200
"""The most characters of a person's or an annotation's name that are kept."""

REMARK_LENGTH = 2000
"""The most characters of a reason, a source or a licence that are kept."""

# Marks that turn the direction of writing, and marks of no width that make two names look alike.
# The joiners U+200C and U+200D stay: Persian, Indian scripts and emoji need them.
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def valid_text(text: str, longest: int = REMARK_LENGTH) -> str:
    r"""Return text from outside as one line that every file, database and page can hold.

    Bytes of a file name that are no UTF-8 are read as Latin-1. Other surrogates
    become U+FFFD, control characters become spaces, and marks that are invisible or turn the
    direction of writing are dropped. Composed and decomposed letters become the same. The result
    is a fixed point: a second call changes nothing.

    >>> valid_text("b\udcfccher"), valid_text("a\x1b[31m\x00b\n"), valid_text("x\ud800")
    ('bücher', 'a [31m b', 'x\ufffd')

    Args:
        text: any text, also with lone surrogates.
        longest: the most characters to keep; a longer text ends with an ellipsis.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text.strip()
    # A longer text is cut first: composing a megabyte of letters takes long.
    kept = _INVISIBLE.sub("", "".join(map(_valid_character, text[: 4 * longest])))
    kept = _INVISIBLE.sub("", unicodedata.normalize("NFC", kept)).strip()
    cut = len(kept) > longest or len(text) > 4 * longest
    return kept[: longest - 1].rstrip() + "…" if cut else kept


def to_cell(text: str) -> str:
    """Return text for a cell of a CSV file, where a spreadsheet must not take it for a formula.

    >>> to_cell("=cmd|' /C calc'!A0"), to_cell("CC BY 4.0")
    ("'=cmd|' /C calc'!A0", 'CC BY 4.0')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` made a cell from; cells of other programs stay as they are.

    >>> from_cell("'=cmd"), from_cell("'tis")
    ('=cmd', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _valid_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python gives a byte that is no UTF-8
        code -= 0xDC00
        character = chr(code)
    if 0xD800 <= code <= 0xDFFF or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return "\ufffd"
    if code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029):
        return " "
    return character
