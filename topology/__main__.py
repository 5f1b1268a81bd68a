"""`python -m topology` is `kaiju`."""

from __future__ import annotations

from topology.cli import main

if __name__ == "__main__":
    main(prog_name="kaiju")
