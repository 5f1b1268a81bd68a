"""Everything that may enter a mailbox: facts, requests and snapshots.

Facts are past tense (`OrderFilled`), requests imperative (`SubmitOrder`), snapshots nouns
(`TopOfBook`). Prices and quantities are integers in units of ``10 ** -scale`` of their
instrument, amounts integers of a currency's smallest unit, times integer UTC nanoseconds.
"""
