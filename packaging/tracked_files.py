"""What stands in a wheel or an archive of the source: files that git tracks, and nothing else.

An operator may have put files of its own beside them, with passwords in them; those stay where they are.
"""

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Where files of these folders stand.
_TARGETS = {
    "sdist": {".": "."},
    "wheel": {
        "radiusd": "radiusd",
        "billing_core": "billing_core",
        "dictionaries": "radiusd/dictionaries",
        "config": "radiusd/config_sample",
    },
}


class TrackedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds them; an editable installation finds them where they are."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name each file and where it is to stand."""
        if version == "editable":
            return
        root = Path(self.root)
        for folder, target in _TARGETS[self.target_name].items():
            for file in _files(root, folder):
                place = f"{target}/{file.relative_to(folder).as_posix()}"
                build_data["force_include"][str(root / file)] = place


def _files(root: Path, folder: str) -> list[Path]:
    """Return the files of *folder* that git tracks; all of them where there is no git, as in an archive."""
    if not (root / ".git").exists():
        return [file.relative_to(root) for file in sorted((root / folder).rglob("*")) if file.is_file()]
    command = ["git", "-C", str(root), "ls-files", "-z", "--", folder]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name]
