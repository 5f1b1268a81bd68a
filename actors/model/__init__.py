"""Pure trading logic: no actor, no clock, no I/O."""
