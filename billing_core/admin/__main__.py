"""The door of the `billing` command."""

from billing_core.admin.interrupts import run


def main() -> int:
    """Run the command and return its exit code."""
    return run("billing_core.admin.cli")


if __name__ == "__main__":
    raise SystemExit(main())
