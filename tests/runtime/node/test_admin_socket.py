"""The admin socket: HTTP that blocks nobody, and that only the owner reaches."""

from __future__ import annotations

import getpass
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from actors.runtime.node import admin_socket
from actors.runtime.node.admin_socket import (
    ADMIN_FILE,
    MAX_CONNECTIONS,
    MAX_PATH_LENGTH,
    MAX_REQUEST,
    PLACE,
    AdminRequest,
    AdminSocket,
)
from tests.kit.descriptors import no_descriptors_left


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[AdminSocket]:
    found = AdminSocket(tmp_path)
    yield found
    found.close()


def connected(admin: AdminSocket) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5)
    client.connect(os.fspath(admin.path))
    return client


def requests(admin: AdminSocket) -> list[AdminRequest]:
    return [request for _ in range(3) for request in admin.poll(0.01)]


def test_only_its_owner_can_reach_it_and_the_directory_of_the_node_says_where_it_is(
    admin: AdminSocket, tmp_path: Path
) -> None:
    assert stat.S_IMODE(admin.path.parent.stat().st_mode) == 0o700
    assert len(os.fsencode(admin.path)) <= MAX_PATH_LENGTH
    assert (tmp_path / ADMIN_FILE).read_text() == f"{admin.path}\n"


def test_containers_keep_their_sockets_where_all_of_them_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as volume:
        monkeypatch.setenv(PLACE, volume)
        admin = AdminSocket(tmp_path)
        assert admin.path.parent.parent == Path(volume)
        assert stat.S_IMODE(admin.path.parent.stat().st_mode) == 0o700
        admin.close()


def test_a_request_has_the_name_that_the_kernel_gives_and_one_answer(admin: AdminSocket) -> None:
    with connected(admin) as client:
        client.sendall(b"POST /command HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo")
        assert requests(admin) == []
        client.sendall(b"dy")
        (request,) = requests(admin)
        assert (request.who, request.method, request.path, request.body) == (
            getpass.getuser(),
            "POST",
            "/command",
            b"body",
        )
        request.answer(HTTPStatus.OK, b"{}")
        request.answer(HTTPStatus.OK, b"again")
        assert requests(admin) == []
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n{}")


def test_who_says_too_much_is_let_go(admin: AdminSocket) -> None:
    with connected(admin) as client:
        client.sendall(bytes(MAX_REQUEST + 1))
        assert requests(admin) == []
        assert client.recv(1) == b""


def test_who_says_nothing_is_let_go(admin: AdminSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_socket, "REQUEST_TIME", 0.0)
    with connected(admin) as client:
        assert requests(admin) == []
        assert client.recv(1) == b""


def test_no_more_than_so_many_are_connected_at_once(admin: AdminSocket) -> None:
    clients = list[socket.socket]()
    for _ in range(MAX_CONNECTIONS + 1):
        clients.append(connected(admin))
        admin.poll(0.01)
    assert clients[-1].recv(1) == b""
    for client in clients:
        client.close()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = AdminSocket(tmp_path)
    again = AdminSocket(tmp_path)

    assert not left.path.exists()
    assert again.path.exists()
    again.close()
    left.close()
    assert not (tmp_path / ADMIN_FILE).exists()


def test_who_asks_when_no_descriptor_is_left_waits_and_is_heard(admin: AdminSocket) -> None:
    client = connected(admin)
    client.sendall(b"GET /status HTTP/1.1\r\n\r\n")
    with no_descriptors_left():
        assert requests(admin) == []

    assert [request.path for request in requests(admin)] == ["/status"]
    client.close()


def test_a_length_that_is_no_number_of_bytes_is_no_request(admin: AdminSocket) -> None:
    client = connected(admin)
    client.sendall(b"POST /command HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n{}")

    assert requests(admin) == []
    client.close()
