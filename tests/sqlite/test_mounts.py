"""What the kernel says of mounts, and what a store says of a network's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nowserving import SQLiteLockStore, StoreUnavailable
from nowserving.stores.sqlite import mounts

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 22 0:22 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw
30 22 0:30 / /home rw,relatime shared:7 master:2 - nfs4 server:/home rw,vers=4.2
31 30 254:1 / /home/local rw - xfs /dev/vdb rw
32 22 0:31 / /mnt/with\\040blank\\134 rw - cifs //server/share rw
33 22 0:32 / /srv rw - nfs server:/srv rw
34 33 254:2 / /srv rw - ext4 /dev/vdc rw
a line that makes no sense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/bot", "ext4"),
        ("/dev/shm/bot", "tmpfs"),  # noqa: S108 - nothing is written there
        ("/home", "nfs4"),
        ("/home/anna/bot", "nfs4"),
        ("/homes", "ext4"),
        ("/home/local/bot", "xfs"),
        ("/mnt/with blank\\/bot", "cifs"),
        ("/srv/bot", "ext4"),  # mounted over the other
    ],
)
def test_a_path_is_on_the_innermost_mount(path: str, kind: str) -> None:
    assert mounts.kind_of(path, MOUNTS) == kind


def test_where_nothing_is_known_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mounts.kind_of("/", "") is None
    assert mounts.network_kind("/") is None
    monkeypatch.setattr(mounts, "_MOUNTS", mounts._MOUNTS / "none")
    assert mounts.network_kind("/home") is None


def test_a_file_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real mount of one would need a server: what the kernel says is made up."""
    told = tmp_path / "mountinfo"
    told.write_text(f"{MOUNTS}40 22 0:40 / {tmp_path} rw - nfs4 server:/x rw\n", encoding="utf-8")
    monkeypatch.setattr(mounts, "_MOUNTS", told)
    path = tmp_path / "locks.db"
    with (
        SQLiteLockStore(path) as store,
        pytest.raises(StoreUnavailable, match=r"nfs4.*local disk"),
        store.lock("c"),
    ):
        pytest.fail("the body ran")
    assert not path.exists()
