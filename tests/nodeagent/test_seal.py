from __future__ import annotations

from pathlib import Path

import pytest
from nacl.public import PublicKey, SealedBox

from nodeagent.seal import KEY_FILE, CannotOpen, NodeKey


def test_what_is_sealed_to_the_node_only_the_node_opens(tmp_path: Path) -> None:
    key = NodeKey(tmp_path)
    sealed = SealedBox(PublicKey(key.public_key)).encrypt(b"secret")
    assert key.open_sealed(sealed) == b"secret"
    assert NodeKey(tmp_path).open_sealed(sealed) == b"secret"
    (tmp_path / "other").mkdir()
    with pytest.raises(CannotOpen):
        NodeKey(tmp_path / "other").open_sealed(sealed)
    with pytest.raises(CannotOpen):
        key.open_sealed(sealed[:-1])
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
