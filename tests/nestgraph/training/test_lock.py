"""One writer at a time: who holds a lock, who is gone, and whom nobody can know."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nestgraph.errors import InputError
from nestgraph.training import lock
from nestgraph.training.lock import Owner, sole_writer

HOLDER = """
import sys, time
from pathlib import Path
from nestgraph.training.lock import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["kernel", "words"])
def forget(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide the kernel's lock, and a file system that has none."""
    if request.param == "words":
        monkeypatch.setattr(lock, "_lock", lambda _: None)


def left(place: Path, **other: object) -> None:
    """Write a lock that names an owner that differs from this process in something."""
    place.write_text(json.dumps(asdict(replace(Owner.here(), **other))))  # type: ignore[arg-type]


@pytest.mark.usefixtures("forget")
def test_the_second_writer_is_told_of_the_first(tmp_path: Path) -> None:
    with sole_writer(tmp_path):
        owner = Owner.of((tmp_path / "lock").read_bytes())
        with pytest.raises(InputError) as caught, sole_writer(tmp_path):
            pass
        assert owner is not None
        assert f"process {os.getpid()} on {owner.host}, since {owner.since}" in str(caught.value)
        assert caught.value.diagnostics[0].code == "NG724"
    with sole_writer(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kernel", [True, False])
def test_a_lock_ends_with_its_process_however_that_ends(
    tmp_path: Path, number: signal.Signals, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    if not kernel:
        monkeypatch.setattr(lock, "_lock", lambda _: None)
    with pytest.raises(InputError, match=f"process {holder.pid} on"), sole_writer(tmp_path):
        pass
    holder.send_signal(number)
    holder.communicate()
    assert (tmp_path / "lock").is_file()  # nobody was there to remove it
    with sole_writer(tmp_path):
        pass


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize("other", [{"boot": "earlier"}, {"pid": 2**22 + 1}, {"started": "12"}])
def test_a_number_that_another_process_has_by_now_binds_nobody(
    tmp_path: Path, other: dict[str, object]
) -> None:
    left(tmp_path / "lock", **other)
    with sole_writer(tmp_path):
        assert Owner.of((tmp_path / "lock").read_bytes()) is not None


@pytest.mark.usefixtures("forget")
def test_nothing_is_assumed_of_another_machine(tmp_path: Path) -> None:
    left(tmp_path / "lock", host="elsewhere", boot="another", pid=7)
    with pytest.raises(InputError) as caught, sole_writer(tmp_path):
        pass
    said = str(caught.value)
    assert "by process 7 on elsewhere" in said
    assert f"delete `{tmp_path / 'lock'}`" in said
    (tmp_path / "lock").unlink()
    with sole_writer(tmp_path):
        pass


def test_a_container_with_a_name_of_its_own_is_this_machine(tmp_path: Path) -> None:
    if not Owner.here().boot:
        pytest.skip("the system doesn't tell one start from another")
    left(tmp_path / "lock", host="container-1", pid=7)
    with sole_writer(tmp_path):
        pass


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"pid": "x"}'])
def test_a_lock_without_an_owner_binds_nobody(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "lock").write_bytes(text)
    with sole_writer(tmp_path):
        pass


def test_a_file_has_one_lock_whatever_links_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "mem")
    with sole_writer(tmp_path / "link"):
        assert (tmp_path / "there" / "mem.lock").is_file()
        with pytest.raises(InputError, match="NG724"), sole_writer(tmp_path / "there" / "mem"):
            pass


def test_a_place_without_room_for_a_lock_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"NG721 .*gone/x`"), sole_writer(tmp_path / "gone/x"):
        pass

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.pwrite", full)
        with pytest.raises(InputError, match="free some space"), sole_writer(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_of_many_that_want_it_at_once_one_gets_it(tmp_path: Path) -> None:
    with ExitStack() as all_of_them:
        won = 0
        for _ in range(8):
            try:
                all_of_them.enter_context(sole_writer(tmp_path))
            except InputError:
                continue
            won += 1
    assert won == 1
