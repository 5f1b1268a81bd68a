"""Events in the words of an older version: without the fields that were appended since."""

from __future__ import annotations

from actors.events.event import Event
from actors.runtime.schema import Fields, as_known, earlier_of, schema_table

SCHEMA: Fields = {
    "Order": [["id", "str"], ["qty", "int"], ["account", "str", ""], ["tags", ["list", "str"], []]],
    "Approved": [["order", ["event", "Order"]], ["by", ["optional", ["event", "Order"]], None]],
    "Many": [["orders", ["list", ["event", "Order"]]], ["pair", ["tuple", "int", "int"]]],
    "Wrapped": [["body", "any"]],
}
WHOLE = ["Order", "a", 3, "", []]


class Filled(Event):
    qty: int
    trade_id: str = ""


def test_fields_that_came_since_are_left_out_wherever_the_event_stands() -> None:
    longer = [*WHOLE, 7]

    assert as_known(longer, SCHEMA) == WHOLE
    assert as_known(["Approved", longer, longer], SCHEMA) == ["Approved", WHOLE, WHOLE]
    assert as_known(["Many", [longer], [1, 2]], SCHEMA) == ["Many", [WHOLE], [1, 2]]
    assert as_known(["Wrapped", longer], SCHEMA) == ["Wrapped", WHOLE]


def test_an_event_that_the_schema_lacks_stays_as_it_is() -> None:
    assert as_known(["New", "a", 3], SCHEMA) == ["New", "a", 3]


def test_an_event_without_anything_new_stays_as_it_is() -> None:
    assert as_known(["Order", "a", 3, "main", ["x"]], SCHEMA) == ["Order", "a", 3, "main", ["x"]]
    assert as_known(["Approved", ["Order", "a", 3], None], SCHEMA) == [
        "Approved",
        ["Order", "a", 3],
        None,
    ]


def test_of_two_schemas_the_one_with_fewer_fields_is_the_earlier() -> None:
    before: Fields = {"Order": SCHEMA["Order"][:2], "Gone": [["n", "int"]]}
    both = {**SCHEMA, **before}

    assert earlier_of(before, SCHEMA) == both
    assert earlier_of(SCHEMA, before) == both


def test_schemas_are_those_that_files_hold() -> None:
    schema = schema_table([Filled])["events"]
    [tag] = schema

    assert as_known([tag, 5, "t", 6], schema) == [tag, 5, "t"]
