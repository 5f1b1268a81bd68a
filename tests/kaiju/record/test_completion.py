"""Events that an older version wrote have the defaults of what was appended since."""

from __future__ import annotations

from actors.events.event import Event
from actors.runtime.schema import schema_table
from kaiju.record.completion import Schema, completed, later_of

SCHEMA: Schema = {
    "Order": [["id", "str"], ["qty", "int"], ["account", "str", ""], ["tags", ["list", "str"], []]],
    "Approved": [["order", ["event", "Order"]], ["by", ["optional", ["event", "Order"]], None]],
    "Many": [["orders", ["list", ["event", "Order"]]], ["pair", ["tuple", "int", "int"]]],
}
WHOLE = ["Order", "a", 3, "", []]


class Filled(Event):
    qty: int
    trade_id: str = ""


def test_missing_fields_get_their_defaults_wherever_the_event_stands() -> None:
    assert completed(["Order", "a", 3], SCHEMA) == WHOLE
    assert completed(["Approved", ["Order", "a", 3]], SCHEMA) == ["Approved", WHOLE, None]
    assert completed(["Many", [["Order", "a", 3]], [1, 2]], SCHEMA) == ["Many", [WHOLE], [1, 2]]


def test_values_that_no_schema_has_stay() -> None:
    assert completed([*WHOLE, 7], SCHEMA) == [*WHOLE, 7]


def test_an_event_with_all_fields_stays_as_it_is() -> None:
    assert completed(["Order", "a", 3, "main", ["x"]], SCHEMA) == ["Order", "a", 3, "main", ["x"]]


def test_of_two_schemas_the_one_with_more_fields_is_the_later() -> None:
    before: Schema = {"Order": SCHEMA["Order"][:2], "Gone": [["n", "int"]]}
    both = {**SCHEMA, **before, "Order": SCHEMA["Order"]}

    assert later_of(before, SCHEMA) == both
    assert later_of(SCHEMA, before) == both


def test_schemas_are_those_that_files_hold() -> None:
    schema = schema_table([Filled])["events"]
    [tag] = schema

    assert completed([tag, 5], schema) == [tag, 5, ""]
