"""Texts that somebody else chose, so that none of them steers a terminal or how a line is read.

Control characters (C0, DEL, C1), those that turn the direction of writing (bidi), line separators and halves
of characters become escapes as Python writes them. What people see goes through here: on a terminal, in a
log, a table or a mail.
"""


def visible(text: str, keeping: str = "") -> str:
    """Return *text* with escapes for what cannot be seen, but for blanks and what is in *keeping*."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keeping else ascii(character)[1:-1]
        for character in text
    )


def plain_json(document: str) -> str:
    """Return a JSON *document* of ASCII without the one control character that JSON lets stand, DEL."""
    return document.replace("\x7f", "\\u007f") if "\x7f" in document else document


def visible_lines(text: str) -> str:
    """Return *text* likewise; what we have put on several lines stays there."""
    return visible(text, "\n")
