"""Keys of nodes: made once, kept to their owner, and checked before anybody runs."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from tests.kit import commands
from tests.kit.node_processes import free_port
from topology.config.keys import KeysError, NodeKeys, read_public_key, read_secret_key
from topology.links.keygen import make_keys

TOPOLOGY = """\
version: 1
name: pair
nodes:
  one: {host: one, port: PORT, public_key: keys/one.public}
  two: {host: two, port: 7100, public_key: keys/two.public}
currencies: {}
instruments: {}
actors:
  feed: {class: "tests.kit.runtime_actors:Feed", node: one}
  sink: {class: "tests.kit.runtime_actors:Sink", node: two, inputs: [feed.ticks]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "pair.yaml"
    found.write_text(TOPOLOGY.replace("PORT", str(free_port())))
    return found


def kaiju(*arguments: object) -> tuple[int, str]:
    done = commands.kaiju(*arguments)
    return done.exit_code, done.output


def test_missing_pairs_are_made_and_none_is_made_twice(file: Path) -> None:
    keys = file.parent / "keys"
    assert kaiju("keys", file, "--dir", keys) == (
        0,
        f"{keys}/one.public: made\n{keys}/two.public: made\n",
    )
    before = {path: path.read_bytes() for path in keys.iterdir()}
    assert len(before) == 4
    assert kaiju("keys", file, "--dir", keys)[1].count("already there") == 2
    assert {path: path.read_bytes() for path in keys.iterdir()} == before
    assert stat.S_IMODE((keys / "one.secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((keys / "one.public").stat().st_mode) == 0o644


def test_a_pair_of_one_node_may_be_made_with_its_secret_somewhere_else(file: Path) -> None:
    keys, secrets = file.parent / "keys", file.parent / "secrets"
    code, _ = kaiju("keys", file, "--dir", keys, "--node", "one", "--secrets", secrets)
    assert code == 0
    assert [path.name for path in keys.iterdir()] == ["one.public"]
    assert [path.name for path in secrets.iterdir()] == ["one.secret"]


def test_a_node_that_is_not_there_is_refused(file: Path) -> None:
    code, said = kaiju("keys", file, "--dir", file.parent, "--node", "three")
    assert (code, said) == (2, f"error: {file}: no node 'three'; there are one, two\n")


def test_half_a_pair_is_never_completed(tmp_path: Path) -> None:
    make_keys(tmp_path, "one")
    (tmp_path / "one.secret").unlink()
    with pytest.raises(KeysError, match=r"one.public is there and .*one.secret is not"):
        make_keys(tmp_path, "one")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_that_others_may_read_is_none(tmp_path: Path, mode: int) -> None:
    make_keys(tmp_path, "one")
    secret = tmp_path / "one.secret"
    read_secret_key(secret)
    secret.chmod(mode)
    with pytest.raises(KeysError, match=f"mode was {mode:04o}, allowed is 0600"):
        read_secret_key(secret)


@pytest.mark.parametrize("text", ["", "short", "x" * 41, "\\" * 40])
def test_what_is_no_key_is_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.secret"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(KeysError, match=f"{len(text)} characters, allowed is a secret key") as told:
        read_secret_key(path)
    assert not text or text not in str(told.value)


def test_a_node_without_a_key_does_not_speak_over_the_network() -> None:
    with pytest.raises(KeysError, match="node 'one' has no public key"):
        NodeKeys.load("one", {}, None)


def test_check_finds_a_key_that_is_malformed_or_of_two_nodes(file: Path) -> None:
    keys = file.parent / "keys"
    kaiju("keys", file, "--dir", keys)
    (keys / "two.public").write_text(read_public_key(keys / "one.public"))
    code, said = kaiju("check", file)
    assert (code, "two.public is the key of node 'one' already" in said) == (2, True)
    (keys / "two.public").write_text("nonsense")
    code, said = kaiju("check", file)
    assert (code, f"{file}:5:" in said, "8 characters" in said) == (2, True, True)


def test_check_of_a_node_looks_at_its_secret_and_its_ports(file: Path) -> None:
    keys = file.parent / "keys"
    kaiju("keys", file, "--dir", keys)
    ask = ("check", file, "--node", "one", "--secret", keys / "one.secret")
    assert kaiju(*ask)[0] == 0
    (keys / "one.secret").chmod(0o644)
    port = int(file.read_text().split("port: ")[1].split(",")[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, said = kaiju(*ask)
    assert code == 2
    assert "mode was 0644" in said
    assert f"port {port} (live) of node 'one' is not free" in said
