"""What the figures were measured on: without it they mean nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("kaiju-trading", "msgspec", "nautilus_trader", "vnpy", "pykka")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def describe_machine() -> str:
    """Return the processor, kernel, Python and package versions."""
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    governor = GOVERNOR.read_text().strip() if GOVERNOR.exists() else "not visible"
    return (
        f"{_processor()}, {os.cpu_count()} cores, governor {governor}, "
        f"load at the start {os.getloadavg()[0]:.1f}; {platform.system()} {platform.release()}; "
        f"{platform.python_implementation()} {platform.python_version()}; {packages}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
