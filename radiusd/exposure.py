"""What other users of this machine may read or change that they should not: secrets, settings, prices."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from billing_core.admin.definitions.definitions import Definitions
from billing_core.settings import Document, Fault, KeyPath, read
from billing_core.storage.url import database_url
from radiusd.config import Config

_SECRETS: Final = frozenset(("secret", "password"))
_URLS: Final = frozenset(("url", "owner_url"))


def exposures(document: Document, settings: Config, files: Iterable[Definitions]) -> Iterator[Fault]:
    """Yield what others may read or write of *settings*, which stand in *document*, and of definitions."""
    # Those of definitions have let go of what was written, which may be a lot.
    documents = [document, *(read(file.document.file) for file in files)]
    for each in documents:
        yield from _readable(each)
    key = settings.radsec.key
    if key is not None and _others_may_read(key):
        yield Fault(key, 0, "", f"is a key that everyone may read; run: chmod o-rwx {key}")
    paths = {each.file for each in documents} | _named(settings, files)
    for path in sorted(path for path in paths if _others_may_write(path)):
        yield Fault(path, 0, "", f"may be changed by everyone; run: chmod o-w {path}")
    for folder in sorted({path.parent for path in paths if _others_may_write(path.parent)}):
        message = f"is a folder whose files everyone may replace; run: chmod o-w {folder}"
        yield Fault(folder, 0, "", message)


def _named(settings: Config, files: Iterable[Definitions]) -> set[Path]:
    """Return the files that are named, and the folder of the database."""
    radsec, directory = settings.radsec, settings.database.directory
    named = {radsec.certificate, radsec.key, radsec.authorities, settings.mail.authorities}
    named |= {table.rates for file in files for table in file.rate_tables}
    if settings.database.url is None and directory.exists():
        named.add(directory)
    return {path for path in named if path is not None}


def _readable(document: Document) -> Iterator[Fault]:
    places = list(_secret_places(document.data, ()))
    if places and _others_may_read(document.file):
        secrets = "the secret" if len(places) == 1 else f"the {len(places)} secrets"
        message = f"everyone may read this file and {secrets} in it; run: chmod o-rwx {document.file}"
        yield document.fault(places[0], message)


def _secret_places(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Yield where secrets are written: values by these names, and URLs with a password."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            is_secret = isinstance(inner, str) and inner and (key in _SECRETS or _has_password(key, inner))
            yield from [(*path, key)] if is_secret else _secret_places(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _secret_places(inner, (*path, place))


def _has_password(key: str, value: str) -> bool:
    try:
        return key in _URLS and database_url(value).password is not None
    except ValueError:
        return False


def _others_may_read(file: Path) -> bool:
    """Tell whether everyone may, as far as the file and its folder tell."""
    return bool(_mode(file) & stat.S_IROTH and _mode(file.parent) & stat.S_IXOTH)


def _others_may_write(path: Path) -> bool:
    return bool(_mode(path) & stat.S_IWOTH)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
