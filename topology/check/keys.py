"""Pass: does every key belong to one node only?"""

from __future__ import annotations

from topology.check.schema import PartialTopology
from topology.config.document import Document
from topology.config.keys import KeysError, read_public_key


def check_keys(document: Document, partial: PartialTopology) -> None:
    """Report keys that are malformed or used by two nodes; a key that was not made yet is allowed.

    Two nodes with the same key could each read what only the other may.
    """
    owners: dict[str, str] = {}
    for name, node in partial.nodes.items():
        path = document.path.parent / node.public_key
        if not node.public_key or not path.exists():
            continue
        place = ("nodes", name, "public_key")
        try:
            key = read_public_key(path)
        except KeysError as error:
            document.report(place, str(error))
            continue
        if key in owners:
            document.report(
                place, f"{path} is the key of node '{owners[key]}' already: make another"
            )
        owners[key] = name
