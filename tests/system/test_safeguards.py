"""Each safeguard, switched off, makes a test red that is named here: the tests can fail."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from actors.events.orders import SubmitOrder
from actors.events.system import OperatorCommand
from actors.runtime.journal import frames
from actors.runtime.journal.commits import Commits
from actors.runtime.journal.data_directory import DataDirectory
from actors.runtime.journal.steps import StepJournal
from actors.runtime.node.kill import KillFile
from actors.runtime.node.operator_commands import OperatorCommands
from actors.runtime.node.port_runners import PortRunners
from actors.runtime.node.supervision import Supervisor
from actors.runtime.node.surroundings import Surroundings
from actors.runtime.ports import PortRunner
from actors.runtime.recovery.recovery import Recovery
from actors.testing import ActorTest
from gateways.gateway import Gateway
from gateways.simulated.session import server_socket
from gateways.simulated.session.client import VenueGateway
from gateways.simulated.session.messages import NumberedReport, SessionRequest
from gateways.simulated.session.server import VenueServer
from tests.kit.brittle_actors import faults
from tests.kit.named_tests import named_test
from tests.kit.venue_client import UP, accepted

pytestmark = pytest.mark.slow

Patch = pytest.MonkeyPatch


def no_crc(patch: Patch) -> None:
    """The CRC of every frame is 0, so all of them fit; headers keep theirs."""
    crc32c = frames.crc32c
    patch.setattr(
        frames, "crc32c", lambda data: crc32c(data) if data.startswith(frames.MAGIC) else 0
    )


def release_before_write(patch: Patch) -> None:
    """A step is written when the actor makes its next one."""
    write, late = StepJournal.write, dict[StepJournal, tuple[Any, ...]]()

    def write_the_one_before(journal: StepJournal, *step: Any) -> None:
        if journal in late:
            write(journal, *late[journal])
        late[journal] = step

    patch.setattr(StepJournal, "write", write_the_one_before)


def send_before_sync(patch: Patch) -> None:
    """Nobody waits for a sync."""
    patch.setattr(Commits, "when_synced", lambda _commits, job: job())


def forget_positions(patch: Patch) -> None:
    """After a crash every reader is given everything again."""

    def nothing_read(
        _recovery: Recovery, _name: str, _stream: str
    ) -> Mapping[str, tuple[int, int]] | None:
        return {}

    patch.setattr(Recovery, "_positions_of", nothing_read)


def let_strangers_in(patch: Patch) -> None:
    """A venue takes any token for its own."""
    patch.setattr(server_socket, "is_token", lambda _found, _expected: True)


def take_any_memory(patch: Patch) -> None:
    """Nobody looks at how much memory a node has."""
    patch.setattr(Surroundings, "_look_at_memory", lambda _surroundings, _now: None)


def overlook_kill(patch: Patch) -> None:
    """Nobody looks for KILL."""
    patch.setattr(KillFile, "read", lambda _file: None)


def repeat_commands(patch: Patch) -> None:
    """A command is done as often as it comes."""
    take = OperatorCommands.take

    def without_memory(commands: OperatorCommands, command: OperatorCommand) -> str:
        commands._taken.clear()
        return take(commands, command)

    patch.setattr(OperatorCommands, "take", without_memory)


def leave_ports_open(patch: Patch) -> None:
    """In an emergency the ports stay as they are."""
    patch.setattr(PortRunners, "let_out_only_cancels", lambda _runners: None)


def forget_epochs(patch: Patch) -> None:
    """A new epoch is used without being noted."""

    def next_epoch(data: DataDirectory) -> int:
        data.file.epoch += 1
        return data.file.epoch

    patch.setattr(DataDirectory, "next_epoch", next_epoch)


def send_what_is_not_written(patch: Patch) -> None:
    """A disk that refuses stops no port."""
    patch.setattr(PortRunner, "hold", lambda _port: None)


def drop_what_is_refused(patch: Patch) -> None:
    """A step that the disk refuses is gone."""
    patch.setattr(Commits, "_hold", lambda *_step: None)


def go_on_half_changed(patch: Patch) -> None:
    """Whoever raised tries again as the raise left it."""
    patch.setattr(Supervisor, "_rebuild", lambda *_actor: True)


def let_older_logons_in(patch: Patch) -> None:
    """The venue takes requests of whoever was logged on before."""
    handle = VenueServer.on_session_request

    def without_fence(door: VenueServer, wrapped: SessionRequest) -> None:
        incarnation = door.state.sessions[wrapped.session].incarnation
        handle(door, msgspec.structs.replace(wrapped, incarnation=incarnation))

    patch.setattr(VenueServer, "on_session_request", without_fence)


def let_repeated_requests_in(patch: Patch) -> None:
    """The venue takes a request as often as it comes."""
    handle = VenueServer.on_session_request

    def without_numbers(door: VenueServer, wrapped: SessionRequest) -> None:
        door.state.sessions[wrapped.session].last_request = wrapped.seq - 1
        handle(door, wrapped)

    patch.setattr(VenueServer, "on_session_request", without_numbers)


def take_repeated_reports(patch: Patch) -> None:
    """A gateway passes a report on as often as it comes."""
    handle = VenueGateway.on_numbered_report

    def without_numbers(gateway: VenueGateway, numbered: NumberedReport) -> None:
        gateway.state.handled = numbered.number - 1
        gateway.state.executions.recent.clear()
        handle(gateway, numbered)

    patch.setattr(VenueGateway, "on_numbered_report", without_numbers)


def trade_in_doubt(patch: Patch) -> None:
    """A gateway sends orders while nobody knows what is open at the venue."""
    refusal = Gateway._refusal

    def without_gate(gateway: Gateway, order: SubmitOrder) -> str:
        state = gateway.state
        closed, (state.awaited, state.in_doubt) = (state.awaited, state.in_doubt), ("", ())
        reason = refusal(gateway, order)
        state.awaited, state.in_doubt = closed
        return reason

    patch.setattr(Gateway, "_refusal", without_gate)


class Safeguard(NamedTuple):
    """One safeguard and a test that needs it.

    Attributes:
        switch_off: takes it away.
        test: its name.
        arguments: of the test, made of an empty directory and pytest's own log.
    """

    switch_off: Callable[[Patch], None]
    test: str
    arguments: Callable[[Path, pytest.LogCaptureFixture], Iterable[Any]] = lambda *_: ()


def directory(path: Path, _log: pytest.LogCaptureFixture) -> Iterable[Any]:
    return (path,)


def full_disk(path: Path, log: pytest.LogCaptureFixture) -> Iterable[Any]:
    log.clear()
    return (path, log, errno.ENOSPC, "os")


def door(*_: object) -> Iterable[Any]:
    return (ActorTest(VenueServer, name="door"),)


def gateway(*_: object) -> Iterable[Any]:
    kit = ActorTest(VenueGateway, name="gateway")
    kit.given(accepted(1, after=4), UP)
    return (kit,)


SAFEGUARDS = [
    Safeguard(
        no_crc,
        "runtime/journal/test_frames.py::test_any_flipped_bit_is_refused_at_the_frame_that_holds_it",
        directory,
    ),
    Safeguard(
        no_crc,
        "runtime/journal/test_writer.py::test_any_flipped_bit_of_any_segment_is_refused_where_it_is",
        lambda path, _: (path, 1),
    ),
    Safeguard(
        release_before_write,
        "runtime/node/test_synced.py::test_nothing_leaves_before_its_step_is_written",
        directory,
    ),
    Safeguard(
        send_before_sync,
        "runtime/node/test_synced.py::test_in_virtual_time_a_sync_is_part_of_the_turn",
        directory,
    ),
    Safeguard(
        forget_positions,
        "runtime/recovery/test_durable_node.py::test_a_durable_reader_hears_everything_once_and_in_order_however_often_it_is_killed",
        directory,
    ),
    Safeguard(
        forget_epochs,
        "runtime/recovery/test_durable_node.py::test_an_epoch_is_on_disk_before_anything_is_emitted_in_it",
        directory,
    ),
    *(
        Safeguard(
            switch_off,
            "runtime/node/test_disk_trouble.py::test_a_disk_that_refuses_for_a_while_halts_trading_and_loses_nothing",
            full_disk,
        )
        for switch_off in (send_what_is_not_written, drop_what_is_refused)
    ),
    Safeguard(
        go_on_half_changed,
        "runtime/recovery/test_rebuilding.py::test_an_actor_that_raises_once_tries_again_and_is_reported",
        lambda path, _: (path, "tick 7", 1_500),
    ),
    Safeguard(
        let_older_logons_in,
        "gateways/simulated/test_server.py::test_requests_of_an_older_incarnation_never_reach_the_exchange",
        door,
    ),
    Safeguard(
        let_repeated_requests_in,
        "gateways/simulated/test_server.py::test_requests_pass_in_order_and_once",
        door,
    ),
    Safeguard(
        take_repeated_reports,
        "gateways/simulated/test_client.py::test_reports_are_passed_on_once_whatever_comes_again",
        gateway,
    ),
    Safeguard(
        let_strangers_in,
        "gateways/simulated/test_venue_token.py::test_a_logon_without_the_token_does_not_reach_the_venues_actor",
        lambda *_: (),
    ),
    Safeguard(
        take_any_memory,
        "runtime/node/test_surroundings.py::test_a_node_at_its_memory_limit_halts_cancels_and_ends",
        directory,
    ),
    Safeguard(
        overlook_kill,
        "runtime/node/test_kill.py::test_a_node_hears_of_kill_before_its_first_input",
        directory,
    ),
    Safeguard(
        repeat_commands,
        "runtime/node/test_operator_commands.py::test_a_command_that_is_repeated_is_done_once",
    ),
    Safeguard(
        leave_ports_open,
        "runtime/test_ports.py::test_a_port_that_is_closed_lets_out_cancels_and_nothing_else",
    ),
    Safeguard(
        trade_in_doubt,
        "gateways/test_gateway.py::test_after_the_first_connection_orders_are_refused_until_all_is_reconciled",
    ),
]


@pytest.mark.usefixtures("not_verified")
@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda s: s.switch_off.__name__)
def test_without_its_safeguard_the_named_test_is_red(
    safeguard: Safeguard, tmp_path: Path, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    green, red = tmp_path / "green", tmp_path / "red"
    green.mkdir()
    red.mkdir()
    test = named_test(safeguard.test)
    test(*safeguard.arguments(green, caplog))
    faults.clear()
    with monkeypatch.context() as patch:
        safeguard.switch_off(patch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            test(*safeguard.arguments(red, caplog))
    faults.clear()
