"""Who may connect to the embedded database: the kernel tells who asks, and a map names the roles (peer).

Nobody else on this machine connects, whatever they can reach. PostgreSQL's user and root may take both roles;
where that user is ``nobody``, whom other programs run as too, root alone may.
"""

import os
import signal
from contextlib import suppress

from billing_core.storage.embedded_files import ServerFiles
from billing_core.storage.embedded_user import SHARED_USER, EmbeddedServerError, ServerUser

SUPERUSER = "billing"
SERVING_ROLE = "billing_serving"

_HBA = "# Written by radiusd at each start.\nlocal all all peer map=radiusd\n"
# The user itself writes, so that root follows no link in a folder of that user's; a file appears whole.
_WRITE = 'umask 077; printf %s "$2" >"$1.new" && mv "$1.new" "$1"'


def identities(user: ServerUser) -> str:
    """Return the map of pg_ident.conf: a line for each user of the system and role that it may take."""
    names = {"root", user.name} - {SHARED_USER}
    lines = [
        f"radiusd {_quoted(name)} {role}\n" for name in sorted(names) for role in (SUPERUSER, SERVING_ROLE)
    ]
    return "# Written by radiusd at each start.\n" + "".join(lines)


def admit(files: ServerFiles, user: ServerUser) -> None:
    """Let root and *user* connect and nobody else; a server that runs already reads it again."""
    changed = False
    for name, text in (("pg_hba.conf", _HBA), ("pg_ident.conf", identities(user))):
        file = files.data / name
        with suppress(OSError):
            if file.read_text() == text:
                continue
        written = user.run("/bin/sh", "-c", _WRITE, "sh", str(file), text)
        if written.returncode:
            raise EmbeddedServerError(f"{file}: cannot be written: {written.stdout.strip()}: make room there")
        changed = True
    main_process = files.main_process()
    if changed and main_process is not None:
        with suppress(ProcessLookupError):
            os.kill(main_process, signal.SIGHUP)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
