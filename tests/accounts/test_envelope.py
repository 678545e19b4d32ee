"""Values at rest: what opens them, what does not, and how their master key is changed."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox
from pytest_django.fixtures import Settings

from console.accounts import envelope, keyring
from console.accounts.envelope import CannotOpen
from console.accounts.keyring import BadKeyFile

BINDING = ("secret", "team", "app", "name", "1")


@pytest.fixture
def key_file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "master-key"
    path.touch(mode=0o600)
    path.write_text(keyring.new_line())
    settings.MASTER_KEY_FILE = str(path)
    return path


@given(value=st.binary(max_size=2000))
def test_what_is_sealed_opens_again(value: bytes) -> None:
    assert envelope.open_sealed(envelope.seal(value, *BINDING), *BINDING) == value


def test_each_has_a_data_key_of_its_own() -> None:
    first, second = (envelope.seal(b"same", *BINDING) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("place", range(5))
def test_moved_to_another_place_it_does_not_open(place: int) -> None:
    sealed = envelope.seal(b"value", *BINDING)
    other = [*BINDING]
    other[place] += "x"
    with pytest.raises(CannotOpen):
        envelope.open_sealed(sealed, *other)


def test_parts_of_the_binding_do_not_run_into_each_other() -> None:
    with pytest.raises(CannotOpen):
        envelope.open_sealed(envelope.seal(b"value", "a", "bc"), "ab", "c")


@given(data=st.data())
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    sealed = bytearray(envelope.seal(b"value", *BINDING))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        envelope.open_sealed(bytes(sealed), *BINDING)


def test_a_rotation_leaves_the_sealed_value_and_opens_under_both_keys(key_file: Path) -> None:
    sealed = envelope.seal(b"value", *BINDING)
    before = envelope.key_of(sealed)
    added = keyring.add_key(key_file)
    assert envelope.open_sealed(sealed, *BINDING) == b"value"
    fresh = envelope.rewrap(sealed, *BINDING)
    assert fresh is not None
    assert (before != added, envelope.key_of(fresh), envelope.rewrap(fresh, *BINDING)) == (True, added, None)
    assert sealed[-20:] == fresh[-20:]
    keyring.drop_keys(key_file, {before})
    assert envelope.open_sealed(fresh, *BINDING) == b"value"
    with pytest.raises(CannotOpen, match=before):
        envelope.open_sealed(sealed, *BINDING)


def test_the_key_file_keeps_its_mode(key_file: Path) -> None:
    keyring.add_key(key_file)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert len(key_file.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "text", ["", "\n", "k1\n", "k1 short\n", "k-1 " + "A" * 43 + "=\n", "no base64 at all!\n"]
)
def test_a_file_that_is_no_key_file_is_refused(key_file: Path, text: str) -> None:
    key_file.write_text(text)
    with pytest.raises(BadKeyFile):
        envelope.seal(b"value", *BINDING)


def test_a_missing_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings.MASTER_KEY_FILE = str(tmp_path / "nowhere")
    with pytest.raises(BadKeyFile, match="nowhere"):
        envelope.seal(b"value", *BINDING)


def test_boxes_of_earlier_releases_open() -> None:
    key = hashlib.sha256(b"berth at rest:" + django_settings.SECRET_KEY.encode()).digest()
    box = bytes(SecretBox(key).encrypt(b"old password"))
    assert (envelope.is_envelope(box), envelope.open_box(box)) == (False, b"old password")
    assert envelope.is_envelope(envelope.seal(b"x", *BINDING))
