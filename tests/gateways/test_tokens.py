"""Where a venue's token comes from, and that no text shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateways.simulated.session.client import VenueFeed, VenueGateway
from gateways.simulated.session.server import VenueServer
from gateways.tokens import MAX_LENGTH, TokenError, TokenSettings, is_token

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - of tests alone
VARIABLE = "VENUE_TOKEN"
ELSEWHERE = "tcp://10.0.0.7:7100"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "venue.token"
    path.touch(mode=0o600)
    path.write_text(f"{TOKEN}\n")
    return path


def test_a_token_is_read_from_a_file_that_its_owner_alone_may_read(file: Path) -> None:
    settings = TokenSettings(token_file=file)
    assert settings.read_token() == TOKEN
    file.chmod(0o640)
    with pytest.raises(TokenError, match="mode was 0640, allowed is 0600") as caught:
        settings.read_token()
    assert TOKEN not in str(caught.value)


def test_a_token_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TokenSettings(token_env=VARIABLE)
    with pytest.raises(TokenError, match="variable VENUE_TOKEN: there is no token"):
        settings.read_token()
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert settings.read_token() == TOKEN
    assert TOKEN not in repr(settings)


def test_where_none_is_named_there_is_none() -> None:
    assert TokenSettings().read_token() == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no token"),
        ("short", "5 characters, allowed"),
        ("x" * (MAX_LENGTH + 1), "257 characters, allowed"),
        ("two words in one line", "without spaces"),
    ],
)
def test_what_is_no_token_is_refused_and_not_shown(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    with pytest.raises(TokenError, match=problem) as caught:
        TokenSettings(token_file=file).read_token()
    assert not text or text not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="nowhere: the token cannot be read: No such file"):
        TokenSettings(token_file=tmp_path / "nowhere").read_token()


def test_only_the_token_itself_lets_in() -> None:
    assert is_token(TOKEN, TOKEN)
    assert is_token("whatever", "")
    for wrong in ("", TOKEN[:-1], f"{TOKEN}x", "ü" * len(TOKEN)):
        assert not is_token(wrong, TOKEN)


@pytest.mark.parametrize("actor", [VenueServer, VenueGateway, VenueFeed])
def test_an_endpoint_that_others_can_reach_needs_a_token(
    actor: type[VenueServer | VenueGateway | VenueFeed], file: Path
) -> None:
    def mistakes(**settings: object) -> list[tuple[str, ...]]:
        found = actor.Settings.model_validate(settings)
        return [place for place, _ in actor.check_settings(found, {})]

    assert mistakes() == []
    assert mistakes(endpoint="ipc:///run/venue") == []
    assert mistakes(endpoint=ELSEWHERE) == [("endpoint",)]
    assert mistakes(endpoint=ELSEWHERE, token_env=VARIABLE) == []
    assert mistakes(endpoint=ELSEWHERE, token_file=str(file)) == []
    both = {"token_env": VARIABLE, "token_file": str(file)}
    assert mistakes(**both) == [("token_env",)]
