"""FreeRADIUS' own client, as the tests run it."""

import subprocess

from served import SECRET, program


def radclient(
    port: int,
    kind: str,
    *attributes: str,
    secret: str = SECRET,
    retries: int = 2,
    seconds: int = 2,
    times: int = 1,
) -> str:
    """Send a request *times* times to a *port* of the loopback, and return all that radclient says.

    Each is sent up to *retries* times, *seconds* apart.
    """
    command = [program("radclient", "freeradius-utils"), "-x", "-r", str(retries), "-t", str(seconds)]
    done = subprocess.run(
        [*command, "-c", str(times), f"127.0.0.1:{port}", kind, secret],
        input="\n".join(attributes) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
