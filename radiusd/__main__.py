"""The door of the `radiusd` command, which can be left while it opens."""

import signal


def main() -> int:
    """Run the command; until its modules are read, Ctrl-C ends it as it ends any program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from radiusd import cli

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
