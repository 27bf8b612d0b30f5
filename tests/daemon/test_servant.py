"""The daemon becomes an ordinary user; what only root may read stays unread by all that hear the network.

The tests run as root, and then cross from one user to another, and as an ordinary user, who is that user.
"""

import grp
import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from daemon_process import Daemon, Settings, eventually, is_running, run_to_the_end, start
from daemon_world import nas
from postgres import open_folder
from radius_switch import Switch, new_call

from billing_core.settings import SettingsError
from radiusd import config
from radiusd.codec import encode
from radiusd.servant import Servant, ServantError, require_program
from radiusd.wire import Code, request

ROOT = os.geteuid() == 0
USER = "daemon" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
NEWER = "another-secret-of-these-tests"


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def daemon(authority: trustme.CA, tls_port: int) -> Iterator[Daemon]:
    """Give a daemon that has become another user; settings and keys its first user alone may read."""
    with open_folder() as folder:
        place = folder / "config"
        place.mkdir(mode=0o700)
        ours = authority.issue_cert("radius.example")
        ours.private_key_pem.write_to_path(place / "key")
        ours.cert_chain_pems[0].write_to_path(place / "certificate")
        authority.cert_pem.write_to_path(place / "authorities")
        (place / "secret").write_text("a-secret-of-these-tests")
        for file in place.iterdir():
            file.chmod(0o600)
        gateway = nas("gw", "127.0.0.1", 'secret_file = "secret"\ncertificate = "partner.example"')
        names = "".join(f'{name} = "{name}"\n' for name in ("certificate", "key", "authorities"))
        wanted = Settings(
            "embedded",
            radius='listen = ["127.0.0.1"]\nworkers = 2',
            nas=gateway.replace("\nsecret = ", "\n# ") + f"[radsec]\nport = {tls_port}\n{names}",
            head=f'user = "{USER}"',
        )
        started = start(place, wanted)
        yield started
        started.stop()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int, key: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{key}:"))


def owner(pid: int) -> str:
    return pwd.getpwuid(int(status(pid, "Uid")[0])).pw_name


def stewards(daemon: Daemon) -> list[int]:
    """Return the processes that kept the rights of root."""
    return [child for child in children(daemon.process.pid) if owner(child) == "root"] if ROOT else []


def is_served(daemon: Daemon, secret: str | None = None) -> bool:
    """Tell whether a question that is signed with *secret*, or that of the file, gets a genuine answer."""
    secret = secret or (daemon.directory / "secret").read_text()
    with Switch(daemon.auth_port, daemon.acct_port, secret=secret) as switch:
        question = switch.access(user="nobody", call=new_call())
        switch.send(question)
        return switch.answer(question, 1.0) is not None


def test_all_that_hears_the_network_is_an_ordinary_user_for_good(daemon: Daemon) -> None:
    found = pwd.getpwnam(USER)
    supervisor, workers = daemon.process.pid, daemon.workers()

    for process in (supervisor, *workers):
        assert status(process, "Uid") == [str(found.pw_uid)] * 4
        assert status(process, "Gid") == [str(found.pw_gid)] * 4 or not ROOT
        assert int(status(process, "CapEff")[0], 16) == 0
        assert int(status(process, "CapPrm")[0], 16) == 0
        assert not ROOT or {int(id) for id in status(process, "Groups")} <= set(
            os.getgrouplist(USER, found.pw_gid)
        )
    assert len(workers) == 2
    assert len(stewards(daemon)) == (1 if ROOT else 0)
    assert is_served(daemon, "a-secret-of-these-tests")
    assert daemon.get("/readyz")[0] == 200


def test_no_group_of_root_stays(folder: Path) -> None:
    found = pwd.getpwnam(USER)
    begin = "import os; os.setgroups([0, 4]); " if ROOT else "import os; "
    become = f"become(Servant({USER!r}, {found.pw_uid}, {found.pw_gid}, '/')); print(*os.getgroups())"
    code = f"{begin}from radiusd.servant import Servant, become; {become}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    if ROOT:
        assert {int(id) for id in done.stdout.split()} == set(os.getgrouplist(USER, found.pw_gid))
    else:
        assert "Operation not permitted" in done.stderr


ENDS_MEANWHILE = """
import sys, time
from radiusd.steward import LocalSteward, left_behind
class Slow(LocalSteward):
    def __init__(self):
        pass
    def ensure_database(self):
        time.sleep(0.5)
asked = left_behind(Slow())
print("the daemon goes on", flush=True)
asked._line.sendall(b"ensure_database\\n")
"""


def test_a_daemon_that_ends_while_it_is_answered_leaves_nobody_who_goes_on_as_it() -> None:
    # Its output ends when the last process that has it has ended.
    done = subprocess.run([sys.executable, "-c", ENDS_MEANWHILE], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout, done.stderr) == (0, "the daemon goes on\n", "")


def test_what_keeps_the_rights_of_root_has_no_socket_of_the_network(daemon: Daemon) -> None:
    tables = (Path("/proc/net", name).read_text().splitlines()[1:] for name in ("udp", "udp6", "tcp", "tcp6"))
    network = {f"socket:[{line.split()[9]}]" for table in tables for line in table}

    def sockets(pid: int) -> set[str]:
        return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()} & network

    assert sockets(daemon.process.pid)
    assert [sockets(steward) for steward in stewards(daemon)] == ([set()] if ROOT else [])


def test_a_reload_takes_over_a_secret_that_the_user_may_not_read(daemon: Daemon) -> None:
    before = (daemon.directory / "secret").read_text()
    (daemon.directory / "secret").write_text(NEWER)
    daemon.signal(signal.SIGHUP)

    assert eventually(lambda: is_served(daemon, NEWER))
    assert not is_served(daemon, before)


def test_a_reload_with_a_fault_is_refused_with_its_line(daemon: Daemon) -> None:
    daemon.configure(daemon.settings.text().replace('dialect = "cisco"', 'dialect = "crisco"'))
    daemon.signal(signal.SIGHUP)

    [line] = daemon.logs("reload_refused")
    assert "crisco" in line["faults"][0]
    assert is_served(daemon)
    daemon.configure(daemon.settings.text())


def test_a_worker_that_takes_a_dead_ones_place_has_the_newest_secrets_and_keys(
    daemon: Daemon, authority: trustme.CA, tls_port: int
) -> None:
    (daemon.directory / "secret").write_text(f"{NEWER} again")
    daemon.signal(signal.SIGHUP)
    assert eventually(lambda: is_served(daemon))
    before = daemon.workers()
    for worker in before:
        os.kill(worker, signal.SIGKILL)

    assert eventually(lambda: len(set(daemon.workers()) - set(before)) == 2 and daemon.is_ready(), 20.0)
    assert is_served(daemon)
    assert {owner(worker) for worker in daemon.workers()} == {USER}
    assert is_served_by_tls(authority, tls_port)


def is_served_by_tls(authority: trustme.CA, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    authority.configure_trust(context)
    authority.issue_cert("partner.example").configure_cert(context)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5)) as line:
        line.sendall(request(Code.STATUS_SERVER, 1, encode("NAS-Identifier", "gw"), b"radsec"))
        return line.recv(4096)[:1] == bytes([Code.ACCESS_ACCEPT])


def test_a_key_that_the_user_may_not_read_serves_tls(
    daemon: Daemon, authority: trustme.CA, tls_port: int
) -> None:
    assert eventually(daemon.is_ready)
    assert is_served_by_tls(authority, tls_port)


def test_a_database_that_is_killed_is_started_again(daemon: Daemon) -> None:
    before = database_process(daemon)
    os.kill(before, signal.SIGKILL)

    assert daemon.logs("database_restarted")
    assert eventually(daemon.is_ready, 20.0)
    after = database_process(daemon)
    assert (after != before, owner(after)) == (True, USER)


def database_process(daemon: Daemon) -> int:
    """Return the main process of its embedded database."""
    place = daemon.directory.parent / "var" / "postgres" / "data" / "postmaster.pid"
    return int(place.read_text().splitlines()[0])


def test_whoever_ends_it_nothing_stays_behind_and_it_starts_again(folder: Path) -> None:
    wanted = Settings("embedded", head=f'user = "{USER}"')
    first = start(folder / "config", wanted)
    others = [*stewards(first), *first.workers()]
    first.process.kill()
    first.process.communicate()
    assert eventually(lambda: not any(map(is_running, others)))

    again = start(folder / "config", wanted)
    others = [*stewards(again), *again.workers(), database_process(again)]
    assert len(others) == (3 if ROOT else 2)
    assert again.stop() == 0
    assert eventually(lambda: not any(map(is_running, others)))


# --- what can't be ------------------------------------------------------------------------------------


def refusal(folder: Path, head: str) -> str:
    """Return what a start says that is refused."""
    place = folder / "config"
    place.mkdir(exist_ok=True)
    (place / "radiusd.toml").write_text(Settings("embedded", head=head).text())
    code, said = run_to_the_end(place)
    assert code == 1
    return said


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ('user = "no-such-user"', '1: user: this machine has no user "no-such-user"; add it: useradd'),
        ('user = "root"', '1: user: "root" is root; name another, or leave user out'),
        (f'user = "{USER}"\ngroup = "no-such-group"', "2: group: this machine has no group"),
        (f'group = "{grp.getgrgid(0).gr_name}"', "1: group: goes with user"),
        ("user = 1", "1: user: must be a string in quotes"),
    ],
)
def test_a_user_that_cannot_be_is_refused_with_the_cure(folder: Path, head: str, said: str) -> None:
    (folder / "radiusd.toml").write_text(Settings("embedded", head=head).text())

    with pytest.raises(SettingsError) as error:
        config.load(folder)
    assert f"radiusd.toml:{said}" in str(error.value)


def test_a_database_of_somebody_else_is_refused_with_the_cure(folder: Path) -> None:
    other = "nobody" if ROOT else "daemon"
    place = folder / "var" / "postgres"
    place.mkdir(parents=True)
    if ROOT:
        os.chown(place, pwd.getpwnam(other).pw_uid, -1)
        said = refusal(folder, f'user = "{USER}"')
        assert f"is of user {other}" in said
        assert f"chown -R {USER} {place}" in said
    else:
        assert "only root may become another user" in refusal(folder, f'user = "{other}"')


def test_a_program_that_the_user_cannot_reach_is_told_before_anything_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir()
    (closed / "python").symlink_to(sys.executable)
    closed.chmod(0o700 if ROOT else 0)
    monkeypatch.setattr(sys, "executable", str(closed / "python"))
    found = pwd.getpwnam(USER)

    with pytest.raises(ServantError, match="install it where that user may read, such as below /opt"):
        require_program(Servant(USER, found.pw_uid, found.pw_gid, found.pw_dir))
    closed.chmod(0o700)
