"""Text that any file can hold, whatever the system's names and encodings are."""

from __future__ import annotations


def is_text(value: object) -> bool:
    """Whether it is text that any file can hold: half a pair of surrogates, which JSON can spell, is none."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def document_text(text: str) -> str:
    """What the system calls a file, as text that any file can hold, the same in every locale.

    Names are bytes, and Python keeps those that the locale's encoding does not have as halves of surrogates: they are
    read as UTF-8, and what is not that either is spelled `\\xff`.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of UTF-16, in names on Windows
        data = text.encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "backslashreplace")
