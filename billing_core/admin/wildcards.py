"""Texts that people look for, where `*` stands for any characters."""


def pattern(text: str) -> str:
    """Return *text* as LIKE reads it, where only `*` stands for something else than itself."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text.replace("*", "%")
