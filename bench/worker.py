"""The process in which one measurement is made, alone, so that none disturbs another.

Called as ``python -m bench.worker MODULE FUNCTION ARGUMENTS``; writes one line of JSON.
"""

import importlib
import json
import os
import sys

MISSING = 3
"""Exit status where the system to be measured is not installed."""


def main() -> None:
    module, function, arguments = sys.argv[1:4]
    try:
        measure = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("actors", "bench", "gateways"):
            raise
        sys.exit(MISSING)
    print(json.dumps(measure(**json.loads(arguments))), flush=True)
    os._exit(0)  # a peer's threads may still sleep


if __name__ == "__main__":
    main()
