"""Running `billing` in a test, and looking into its database."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from billing_core.admin.cli import main


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; anything else there is an error."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Billing:
    """Runs `billing` as people do, and looks into its database."""

    directory: Path
    url: str
    engine: Engine
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Result:
        """Run a command."""
        self.captured.readouterr()
        code = main(["--config", str(self.directory), *arguments])
        written = self.captured.readouterr()
        return Result(code, written.out, written.err)

    def file(self, name: str, content: str) -> str:
        """Write a file beside the configuration and return its path."""
        path = self.directory / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    def apply(self, content: str, *options: str, name: str = "billing.toml") -> Result:
        """Apply a definitions file with this content."""
        return self("apply", self.file(name, content), *options)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement, as somebody who may do everything, and return its rows."""
        with self.engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            result = connection.execute(text(statement), values)
            rows = list(result) if result.returns_rows else []
            connection.execute(text("RESET session_replication_role"))
        return rows

    def version(self) -> int:
        """Return the version of the catalogue."""
        return int(self.sql("SELECT version FROM catalogue")[0][0])
