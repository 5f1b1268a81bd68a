"""The command `kaiju`, and `python -m kaiju`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; its import takes a second, in which signals must be ours already."""
    # A halt that comes before anybody handles it waits; it would end the process otherwise.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    from kaiju.cli.app import app  # noqa: PLC0415 - see above

    app(prog_name="kaiju")


if __name__ == "__main__":
    main()
