"""Settings files: TOML that is read whole, every fault named as `file:line: key: what is wrong`.

`read` turns a file into a `Document`, which knows the line of each key; `validate` turns a document
into a frozen model or raises `SettingsError` with all faults at once.
"""

from billing_core.settings.document import Document, Fault, SettingsError, read
from billing_core.settings.secrets import read_secret, read_secret_file
from billing_core.settings.suggestions import nearest
from billing_core.settings.toml_lines import KeyPath
from billing_core.settings.validation import Section, repeated, validate
from billing_core.settings.values import (
    Array,
    Money,
    Name,
    PathBeside,
    Text,
    Timezone,
    address,
    amount,
    default,
    different,
    one_of,
    section,
    words,
    written,
)

__all__ = [
    "Array",
    "Document",
    "Fault",
    "KeyPath",
    "Money",
    "Name",
    "PathBeside",
    "Section",
    "SettingsError",
    "Text",
    "Timezone",
    "address",
    "amount",
    "default",
    "different",
    "nearest",
    "one_of",
    "read",
    "read_secret",
    "read_secret_file",
    "repeated",
    "section",
    "validate",
    "words",
    "written",
]
