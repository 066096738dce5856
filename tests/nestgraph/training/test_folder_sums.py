"""A run folder is as the run wrote it, or what isn't is named."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestgraph.errors import InputError, InputWarning
from nestgraph.training.folder_sums import require_intact, seal, unseal

NAMES = ("spec.yaml", "base/opt.yaml", "metrics.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a run with a text, one in a folder, and a table."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name * 50)
    seal(tmp_path, [tmp_path / name for name in NAMES[:2]])
    seal(tmp_path, [tmp_path / NAMES[2], tmp_path / "times.csv"])
    return tmp_path


def test_what_was_sealed_is_intact_whatever_else_lies_there(folder: Path) -> None:
    (folder / "child.yaml").write_text("extends: spec.yaml")
    require_intact(folder, "spec.yaml", "gone.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_changed_is_named_with_the_way_to_keep_it(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"NG715 `.*{name}` is not as the run wrote it"):
        require_intact(folder)

    (folder / "SHA256SUMS").unlink()  # as the message says
    with pytest.warns(InputWarning, match="NG718 .* has no SHA256SUMS"):
        require_intact(folder)


def test_a_file_that_is_gone_or_was_never_noted_is_named(folder: Path) -> None:
    (folder / "resolved.yaml").write_text("name: x")
    with pytest.raises(InputError, match=r"NG715 `.*resolved\.yaml` .* doesn't list it"):
        require_intact(folder, "resolved.yaml")
    (folder / "spec.yaml").unlink()
    with pytest.raises(InputError, match=r"NG715 `.*spec\.yaml` .* it is missing"):
        require_intact(folder)


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n", f"{'0' * 64}  spec.yaml", "\0" * 80])
def test_checksums_that_are_none_are_damage_themselves(folder: Path, text: str) -> None:
    (folder / "SHA256SUMS").write_text(text)
    with pytest.raises(InputError, match=r"NG715 `.*SHA256SUMS`"):
        require_intact(folder)


def test_a_table_that_grows_again_is_no_longer_told(folder: Path) -> None:
    unseal(folder)
    unseal(folder)
    seal(folder, [folder / name for name in NAMES[:2]])
    (folder / "metrics.csv").write_text("more")
    require_intact(folder, "spec.yaml")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_the_programs_of_the_system_read_it_too(folder: Path) -> None:
    command = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0
