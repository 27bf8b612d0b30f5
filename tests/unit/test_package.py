"""What an operator keeps in a checkout stays its own: no wheel has it, and no new version touches it."""

import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from served import REPOSITORY

OF_THE_OPERATOR = (
    "config/gw1.secret",
    "config/mine.toml",
    "config/rates/mine.csv",
    "config/mail/mine.txt",
    "dictionaries/dictionary.mine",
    "etc/radiusd.toml",
    "radiusd/notes.secret",
    "billing_core/.env",
    "backup.sql",
)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a checkout that is in use: settings and secrets lie about, and the sample was edited."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in tracked(REPOSITORY):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    for name in OF_THE_OPERATOR:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a password")
    return folder


def tracked(folder: Path, *under: str) -> set[str]:
    return {name for name in git(folder, "ls-files", "-z", *under).split("\0") if name}


def built(folder: Path, target: str) -> Path:
    out = folder / "dist" / target
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    [archive] = out.iterdir()
    return archive


def test_a_wheel_holds_what_git_tracks_and_nothing_of_the_operators(checkout: Path) -> None:
    with zipfile.ZipFile(built(checkout, "wheel")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    code = tracked(checkout, "radiusd", "billing_core")
    dictionaries = {f"radiusd/{name}" for name in tracked(checkout, "dictionaries")}
    sample = {name.removeprefix("config/") for name in tracked(checkout, "config")}
    assert names == code | dictionaries | {f"radiusd/config_sample/{name}" for name in sample}


def test_an_archive_of_the_source_holds_nothing_of_the_operators_and_makes_the_same_wheel(
    checkout: Path, tmp_path: Path
) -> None:
    with tarfile.open(built(checkout, "sdist")) as archive:
        archive.extractall(tmp_path)
    [source] = tmp_path.iterdir()

    names = {file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()}
    assert names - tracked(checkout) == {"PKG-INFO"}
    with zipfile.ZipFile(built(checkout, "wheel")) as first:
        expected = set(first.namelist())
    with zipfile.ZipFile(built(source, "wheel")) as second:
        assert set(second.namelist()) == expected


def test_settings_are_made_from_the_sample_once_and_are_their_owners_alone(checkout: Path) -> None:
    shutil.rmtree(checkout / "etc")
    before = git(checkout, "status", "--porcelain")
    make = ["make", "--silent", "-C", str(checkout), "etc"]
    subprocess.run(make, check=True)
    settings = checkout / "etc" / "radiusd.toml"
    assert settings.read_bytes() == (checkout / "config" / "radiusd.toml").read_bytes()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (settings.parent, settings)] == [0o700, 0o600]

    settings.write_text("# mine")
    subprocess.run(make, check=True)

    assert settings.read_text() == "# mine"
    assert git(checkout, "status", "--porcelain") == before
