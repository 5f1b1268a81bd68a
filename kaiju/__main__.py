"""`python -m kaiju` is `kaiju`."""

from __future__ import annotations

from kaiju.cli.app import main

if __name__ == "__main__":
    main(prog_name="kaiju")
