"""The links' protocol under a simulated network: every event once and in order, or a reset."""

from __future__ import annotations

import pytest

from tests.simulated_network import World

SCHEDULES = 300
TURNS = 150


@pytest.mark.parametrize("part", range(4))
def test_of_a_durable_publisher_every_event_arrives_once_and_in_order(part: int) -> None:
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        world = World(seed, durable=True)
        world.run(TURNS)

        expected = [(1, seq) for seq in range(1, world.log.next_seq)]
        assert world.seen.events == expected, f"seed {seed}"
        assert world.seen.resets == [], f"seed {seed}"
        assert world.seen.live, f"seed {seed}"


@pytest.mark.parametrize("part", range(4))
def test_of_any_other_publisher_nothing_is_missing_without_a_reset(part: int) -> None:
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        world = World(seed, durable=False)
        world.run(TURNS)

        resets = iter(world.seen.resets)
        # What a publisher forgot before the reader came for the first time, it never missed.
        epoch, position = (world.seen.events or [(1, 1)])[0][0], 1
        for place in world.seen.events:
            while place != (epoch, position):
                epoch, position, _ = next(resets)
            position += 1
        if last := list(resets):
            epoch, position, _ = last[-1]
        assert (epoch, position) == (world.log.epoch, world.log.next_seq), f"seed {seed}"
        assert world.seen.live, f"seed {seed}"
