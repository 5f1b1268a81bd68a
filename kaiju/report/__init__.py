"""The end of a run: audit, report, page and console."""
