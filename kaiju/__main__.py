"""The command `kaiju`, and `python -m kaiju`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; its import takes a second, in which signals must be ours already."""
    from kaiju.cli.app import app  # noqa: PLC0415 - see above

    app(prog_name="kaiju")


if __name__ == "__main__":
    main()
