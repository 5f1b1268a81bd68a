"""The model of a topology file, from which checks, schema and documentation are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from actors.events.reference import Contract, Currency, Instrument, exact_units
from actors.runtime.node.config import Durability
from actors.runtime.settings import Amount, Duration, misfit
from actors.runtime.stream import Delivery

NAME = r"^[a-z][a-z0-9_]*$"
INSTRUMENT = r"^[A-Z0-9_-]+\.[A-Z0-9_]+$"
CURRENCY = r"^[A-Z0-9]{1,12}$"
CLASS = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
PATTERNS = {
    NAME: "lower-case letters, digits and '_', a letter first",
    INSTRUMENT: "'SYMBOL.VENUE' in capitals, such as 'BTCUSDT.BINANCE'",
    CURRENCY: "capitals and digits, such as 'USDT'",
    CLASS: "'package.module:Class', such as 'actors.risk:Risk'",
}
"""Each pattern in words."""

Name = Annotated[str, StringConstraints(pattern=NAME, max_length=40)]
"""Name of a topology, a node or an actor; used in directories, labels and topics."""
InstrumentName = Annotated[str, StringConstraints(pattern=INSTRUMENT)]
CurrencyName = Annotated[str, StringConstraints(pattern=CURRENCY)]
ClassName = Annotated[str, StringConstraints(pattern=CLASS)]
MAX_SCALE = 18
Scale = Annotated[int, Field(strict=True, ge=0, le=MAX_SCALE)]
Port = Annotated[int, Field(strict=True, ge=1, le=65533)]
Count = Annotated[int, Field(strict=True, ge=0)]
Step = Annotated[Amount, Field(gt=0)]
Bound = Annotated[Amount, Field(ge=0)]

_SIZE = re.compile(r"(\d+)\s*([KMGT]i?B)", re.ASCII)
_FACTORS = {"K": 1, "M": 2, "G": 3, "T": 4}


def _as_bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"was {value!r}, allowed is a size such as '4 GB' or '512 MiB'")
    count, unit = match.groups()
    return int(count) * (1024 if "i" in unit else 1000) ** _FACTORS[unit[0]]


Size = Annotated[
    int,
    BeforeValidator(_as_bytes, json_schema_input_type=int | str),
    Field(strict=True, ge=0, examples=["4 GB", "512 MiB"]),
]
"""Bytes, as a whole number or with a unit."""

PORTS_OF_A_NODE = ("live", "recovery", "health and metrics")
"""Uses of a node's port and of the ports after it."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def as_input(value: Any) -> Any:
    """Return the long form of an input written as text."""
    return {"from": value} if isinstance(value, str) else value


Words = Annotated[
    tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])
]


class Spec(BaseModel):
    """Base of every part of the file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class NodeSpec(Spec):
    """One process, and where other nodes reach it."""

    host: Annotated[str, Field(min_length=1, description="Host name or address.")]
    port: Annotated[
        Port, Field(description="Live stream; the next two are recovery, health and metrics.")
    ]
    public_key: Annotated[
        str,
        Field(description="File of its public key, relative to this file; links over TCP need it."),
    ] = ""
    machine: Annotated[
        str,
        Field(description="Nodes of the same machine share a data directory; default: the host."),
    ] = ""
    memory_limit: Annotated[
        Size,
        Field(description="Memory of its process at which it halts, cancels and ends; 0: none."),
    ] = 0

    @property
    def keeps_data_at(self) -> str:
        """Name of the machine, whose nodes share a data directory."""
        return self.machine or self.host


class CurrencySpec(Spec):
    """A currency and its smallest unit."""

    scale: Annotated[Scale, Field(description="Decimals of the smallest unit.")]

    def build(self, name: str) -> Currency:
        """Return the currency as actors see it."""
        return Currency(name, self.scale)


class InstrumentSpec(Spec):
    """One tradable instrument; scales can never change, the filters below them may."""

    price_scale: Annotated[Scale, Field(description="Decimals of a price.")]
    qty_scale: Annotated[Scale, Field(description="Decimals of a quantity.")]
    tick_size: Annotated[Step, Field(description="Smallest price step.")]
    lot_size: Annotated[Step, Field(description="Smallest quantity step.")]
    base: Annotated[CurrencyName, Field(description="What is bought and sold.")]
    quote: Annotated[CurrencyName, Field(description="Currency of prices.")]
    contract: Annotated[
        Contract, Field(description="How a quantity at a price becomes an amount.")
    ] = Contract.LINEAR
    contract_size: Annotated[
        int, Field(strict=True, ge=1, description="Quote value of one inverse contract.")
    ] = 1
    symbol: Annotated[
        str, Field(description="The venue's own name; default: the part before the dot.")
    ] = ""
    min_qty: Annotated[Bound, Field(description="Smallest quantity of an order.")] = Decimal(0)
    max_qty: Annotated[Bound, Field(description="Largest; 0 for none.")] = Decimal(0)
    min_notional: Annotated[
        Bound, Field(description="Smallest amount of an order; 0 for none.")
    ] = Decimal(0)
    min_px: Annotated[Bound, Field(description="Lowest price; 0 for none.")] = Decimal(0)
    max_px: Annotated[Bound, Field(description="Highest price; 0 for none.")] = Decimal(0)
    max_open_orders: Annotated[
        Count, Field(description="Orders working at once; 0 for no limit.")
    ] = 0

    @property
    def settle(self) -> str:
        """Currency of amounts."""
        return self.quote if self.contract is Contract.LINEAR else self.base

    def build(self, name: str, currencies: Mapping[str, CurrencySpec]) -> Instrument:
        """Return the instrument as actors see it, in integer units.

        Raises:
            ValueError: a price, quantity or amount has more decimals than its scale.
        """
        symbol, _, venue = name.partition(".")
        settle_scale = currencies[self.settle].scale
        units = {key: exact_units(*args) for key, args in self._decimals(settle_scale).items()}
        return Instrument(
            instrument=name,
            venue=venue,
            symbol=self.symbol or symbol,
            base=self.base,
            quote=self.quote,
            settle=self.settle,
            price_scale=self.price_scale,
            qty_scale=self.qty_scale,
            settle_scale=settle_scale,
            max_open_orders=self.max_open_orders,
            contract=self.contract,
            contract_size=self.contract_size,
            **units,
        )

    def _decimals(self, settle_scale: int) -> dict[str, tuple[Decimal, int, str]]:
        scales = {"tick_size": self.price_scale, "min_px": self.price_scale}
        scales |= {"max_px": self.price_scale, "min_notional": settle_scale}
        scales |= dict.fromkeys(("lot_size", "min_qty", "max_qty"), self.qty_scale)
        return {key: (getattr(self, key), scale, key) for key, scale in scales.items()}

    def misfits(self, settle_scale: int | None) -> Iterable[tuple[str, str]]:
        """Yield (key, message) of each value that is beyond its integer or refuses every order.

        Args:
            settle_scale: scale of the settle currency; None if unknown: amounts are not checked.
        """
        for key, (value, scale, _) in self._decimals(settle_scale or 0).items():
            known = key != "min_notional" or settle_scale is not None
            if known and (message := misfit(value, scale)):
                yield key, message
        for low, high in (("min_qty", "max_qty"), ("min_px", "max_px")):
            least, most = getattr(self, low), getattr(self, high)
            if most and least > most:
                yield low, f"{low} was {least:f}, allowed is at most {high}, {most:f}"


class InputSpec(Spec):
    """One stream that an actor reads."""

    from_: Annotated[
        str,
        Field(
            alias="from",
            min_length=1,
            description="'actor.output', an actor with one output, '*' or '*.output'.",
        ),
    ]
    delivery: Annotated[
        Delivery, Field(description="Every event in order, or the newest value per key.")
    ] = "stream"


class AcceptsSpec(Spec):
    """The share of an actor where several read the same requests.

    It handles events of these instruments only, and those that name no instrument.
    """

    venue: Annotated[Words, Field(description="Only instruments of these venues.")] = ()
    instrument: Annotated[Words, Field(description="Only these instruments.")] = ()

    def share(self, instruments: Iterable[str]) -> frozenset[str]:
        """Return the actor's share of `instruments`; all if there is no restriction."""
        return frozenset(
            name
            for name in instruments
            if (not self.venue or name.partition(".")[2] in self.venue)
            and (not self.instrument or name in self.instrument)
        )


class ActorSpec(Spec):
    """One actor: its class, its node and what it reads."""

    class_: Annotated[ClassName, Field(alias="class", description="'package.module:Class'.")]
    node: Annotated[str, Field(min_length=1, description="A key of 'nodes'.")]
    inputs: Annotated[
        tuple[
            Annotated[InputSpec, BeforeValidator(as_input, json_schema_input_type=str | InputSpec)],
            ...,
        ],
        Field(description="Its inputs; readers of one event are served in file order."),
    ] = ()
    durable: Annotated[Durability, Field(description="What survives a crash.")] = "none"
    settings: Annotated[dict[str, Any], Field(description="Keys of the class's Settings.")] = Field(
        default_factory=dict
    )
    accepts: AcceptsSpec = AcceptsSpec()


class JournalSpec(Spec):
    """How much of the journals of durable actors is kept."""

    segment_bytes: Annotated[
        int, Field(strict=True, ge=4096, description="Size at which the next file is begun.")
    ] = 64 * 2**20
    keep_bytes: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            description="Bytes per actor beyond which its oldest files are deleted.",
        ),
    ] = 2**30
    keep_for: Annotated[
        Duration,
        Field(ge=0, description="Age at which files are deleted; 0 keeps them at any age."),
    ] = 0
    min_free: Annotated[
        Size, Field(description="Room on the disk below which a node says that it will be full.")
    ] = 2**30


class Topology(Spec):
    """A whole system: its actors, what they read, and their nodes."""

    version: Literal[1]
    name: Name
    nodes: Annotated[dict[Name, NodeSpec], Field(min_length=1)]
    currencies: dict[CurrencyName, CurrencySpec]
    instruments: dict[InstrumentName, InstrumentSpec]
    actors: Annotated[dict[Name, ActorSpec], Field(min_length=1)]
    journal: JournalSpec = JournalSpec()
    loop_timeout: Annotated[
        Duration,
        Field(
            gt=0,
            description="Live, a node that makes no turn for this long cancels what is open at the"
            " venue and ends, with KILL in force.",
        ),
    ] = 2_000_000_000
