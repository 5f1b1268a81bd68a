"""Exact decimal text to integer units, remembered because prices and quantities recur."""

from __future__ import annotations

MAX_DIGITS = 38
REMEMBERED = 1 << 15


class Units(dict[str, int]):
    """``units[text]`` is the decimal number `text` in units of ``10 ** -scale``.

    A lookup that was made before costs one look into a dict. Only plain unsigned decimals are
    allowed, such as ``61737.63000000``: what a venue sends for a price or a quantity.

    Args:
        scale: decimals that a unit stands for; digits beyond it must be zeros.
        remembered: most texts kept; beyond it, all are forgotten and the memory starts anew.
    """

    def __init__(self, scale: int, remembered: int = REMEMBERED) -> None:
        super().__init__()
        self._scale = scale
        self._remembered = remembered

    def __missing__(self, text: str) -> int:
        """Convert `text` for the first time.

        Raises:
            ValueError: `text` is no plain decimal, too exact for the scale, or its units have
                more than 38 digits.
        """
        units = self._convert(text)
        if len(self) >= self._remembered:
            self.clear()
        self[text] = units
        return units

    def _convert(self, text: str) -> int:
        whole, point, fraction = text.partition(".")
        digits = whole + fraction
        if not (whole and digits.isascii() and digits.isdigit() and bool(point) == bool(fraction)):
            raise ValueError(f"number was {text!r}, allowed is a plain decimal such as '61737.63'")
        kept = fraction[: self._scale].ljust(self._scale, "0")
        if fraction[self._scale :].strip("0"):
            raise ValueError(f"number was {text!r}, allowed are at most {self._scale} decimals")
        digits = (whole + kept).lstrip("0")
        if len(digits) > MAX_DIGITS:
            raise ValueError(f"number was {text[:80]!r}, allowed are units of {MAX_DIGITS} digits")
        return int(digits or "0")
