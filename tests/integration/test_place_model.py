"""The Model component's install step: a bundle is in place whole or not at all, whenever killed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgetally.bundle import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parents[2] / "greengrass-component" / "place_model.sh"
COMMANDS = ("chmod", "cp", "ln", "mkdir", "mv", "rm", "sync")
# Stands before each command that changes something; kills the shell at the nth of them. A copy is
# killed in the middle, too: of a bundle's files only the manifest has come.
SHIM = """#!/bin/sh
count=$(($(cat "$COUNT") + 1))
echo "$count" > "$COUNT"
if [ "$count" = "$KILL_AT" ]; then
    if [ "${0##*/}" = cp ]; then /bin/cp "$2/bundle.json" "$3"; fi
    kill -9 "$PPID"
    exit 1
fi
PATH=$REAL_PATH exec "${0##*/}" "$@"
"""


@pytest.fixture
def versions(bundle: ModelBundle, tmp_path: Path) -> list[Path]:
    """Four versions of one model."""
    folders = []
    for number in (1, 2, 3, 4):
        folder = tmp_path / f"artifact-{number}"
        shutil.copytree(bundle.file("onnx").parent, folder)
        ModelBundle.load(folder).model_copy(update={"version": f"{number}.0"}).write(folder)
        folders.append(folder)
    return folders


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def run(bundle: Path, work: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SCRIPT, bundle, work],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def place(bundle: Path, work: Path) -> None:
    done = run(bundle, work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def version_at(link: Path) -> str:
    return ModelBundle.load(link).version


def contents(work: Path) -> dict[str, int]:
    """Every name below a folder, links as what they lead to, with the inode behind it."""
    return {
        f"{path.relative_to(work)} {path.readlink() if path.is_symlink() else ''}": (
            path.lstat().st_ino
        )
        for path in sorted(work.rglob("*"))
    }


@pytest.fixture
def killed_run(tmp_path: Path) -> Callable[[Path, Path, int], bool]:
    """Run the script, killed at its nth command that changes something; whether it was."""
    shims = tmp_path / "shims"
    shims.mkdir()
    for command in COMMANDS:
        (shims / command).write_text(SHIM)
        (shims / command).chmod(0o755)
    count = tmp_path / "count"

    def killed(bundle: Path, work: Path, kill_at: int) -> bool:
        count.write_text("0")
        done = run(
            bundle,
            work,
            PATH=f"{shims}:{os.environ['PATH']}",
            REAL_PATH=os.environ["PATH"],
            COUNT=str(count),
            KILL_AT=str(kill_at),
        )
        return done.returncode == -9

    return killed


def test_a_bundle_is_placed_under_its_name_version_and_hash(
    versions: list[Path], work: Path
) -> None:
    place(versions[0], work)
    placed = ModelBundle.load(work / "current")
    assert (work / "current").readlink() == Path(
        f"models/{placed.name}-1.0-{ModelBundle.load(versions[0]).sha256[:8]}"
    )
    assert sorted(path.name for path in work.iterdir()) == ["current", "models"]


def test_the_model_before_stays_to_go_back_to_and_older_ones_go(
    versions: list[Path], work: Path
) -> None:
    for version in versions:
        place(version, work)
    assert version_at(work / "current") == "4.0"
    assert version_at(work / "previous") == "3.0"
    assert len(list((work / "models").iterdir())) == 2


def test_the_link_goes_back_where_the_version_before_is_deployed_again(
    versions: list[Path], work: Path
) -> None:
    for version in (versions[0], versions[1], versions[0]):
        place(version, work)
    assert version_at(work / "current") == "1.0"
    assert version_at(work / "previous") == "2.0"


def use(work: Path) -> None:
    """Take what was deployed last, as a running service tells it."""
    for name, folder in (("previous", work / "in-use"), ("in-use", work / "current")):
        if folder.is_symlink():
            (work / "next").symlink_to(folder.readlink())
            (work / "next").replace(work / name)


def test_what_a_running_service_uses_is_kept(versions: list[Path], work: Path) -> None:
    """The second version was refused by the service, which stayed with the first."""
    place(versions[0], work)
    use(work)
    place(versions[1], work)
    place(versions[2], work)
    assert version_at(work / "in-use") == "1.0"
    assert version_at(work / "current") == "3.0"
    assert not (work / "previous").is_symlink()
    assert len(list((work / "models").iterdir())) == 2


def test_the_model_before_the_one_in_use_stays_until_a_new_one_is_in_use(
    versions: list[Path], work: Path
) -> None:
    """The third version is refused, and so is the fourth."""
    for version in versions[:2]:
        place(version, work)
        use(work)
    for version in versions[2:]:
        place(version, work)
        assert version_at(work / "current") == ModelBundle.load(version).version
        assert version_at(work / "in-use") == "2.0"
        assert version_at(work / "previous") == "1.0"
        assert len(list((work / "models").iterdir())) == 3
    use(work)
    place(versions[2], work)
    assert version_at(work / "in-use") == "4.0"
    assert version_at(work / "previous") == "2.0"
    assert len(list((work / "models").iterdir())) == 3
    place(versions[3], work)
    assert version_at(work / "previous") == "2.0"
    assert len(list((work / "models").iterdir())) == 2


def test_the_same_version_again_touches_nothing(versions: list[Path], work: Path) -> None:
    place(versions[0], work)
    place(versions[1], work)
    before = contents(work)
    place(versions[1], work)
    assert contents(work) == before


def test_a_placed_model_that_was_damaged_is_placed_anew(versions: list[Path], work: Path) -> None:
    place(versions[0], work)
    next((work / "current").glob("*.onnx")).write_bytes(b"half of it")
    place(versions[0], work)
    assert version_at(work / "current") == "1.0"


def test_a_damaged_artifact_is_refused_and_nothing_changes(
    versions: list[Path], work: Path
) -> None:
    place(versions[0], work)
    before = contents(work)
    next(versions[1].glob("*.onnx")).write_bytes(b"half of it")
    done = run(versions[1], work)
    assert done.returncode == 1
    assert f"{versions[1]} is damaged" in done.stderr
    assert contents(work) == before


def test_a_folder_that_is_no_bundle_is_refused_in_one_line(tmp_path: Path, work: Path) -> None:
    done = run(tmp_path, work)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is no model bundle" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["bundle"], ["bundle", ""], ["", "work"]])
def test_an_argument_that_is_missing_or_empty_is_asked_for(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    command = ["/bin/sh", str(SCRIPT), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "place_model: give the folder of the bundle and the work folder\n"


def test_a_name_that_no_folder_can_have_is_made_one(versions: list[Path], work: Path) -> None:
    bundle = ModelBundle.load(versions[0])
    for name in ("../../up", "-rf *", ".hidden", "Kästen $(touch x)"):
        bundle.model_copy(update={"name": name}).write(versions[0])
        place(versions[0], work)
        assert ModelBundle.load(work / "current").name == name
        assert (work / "current").resolve().parent == (work / "models").resolve()
        assert not (work / "current").resolve().name.startswith(".")


def test_whenever_it_is_killed_a_model_is_in_place_and_the_next_run_repairs(
    versions: list[Path], work: Path, killed_run: Callable[[Path, Path, int], bool]
) -> None:
    kill_at = 0
    while True:
        kill_at += 1
        shutil.rmtree(work, ignore_errors=True)
        place(versions[0], work)
        place(versions[1], work)
        if not killed_run(versions[2], work, kill_at):
            break
        assert version_at(work / "current") in {"2.0", "3.0"}
        place(versions[2], work)
        assert version_at(work / "current") == "3.0"
        assert version_at(work / "previous") == "2.0"
        assert sorted(path.name for path in work.iterdir()) == ["current", "models", "previous"]
        assert len(list((work / "models").iterdir())) == 2
    assert kill_at > 10  # it was killed at each of its steps


def test_whenever_it_is_killed_what_is_in_use_and_the_one_before_stay(
    versions: list[Path], work: Path, killed_run: Callable[[Path, Path, int], bool]
) -> None:
    before = work.with_name("before")
    for version in versions[:2]:
        place(version, before)
        use(before)
    place(versions[2], before)
    kill_at = 0
    is_killed = True
    while is_killed:
        kill_at += 1
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(before, work, symlinks=True)
        is_killed = killed_run(versions[3], work, kill_at)
        assert version_at(work / "current") in {"3.0", "4.0"}
        for _ in "now", "repaired":
            assert version_at(work / "in-use") == "2.0"
            assert version_at(work / "previous") == "1.0"
            place(versions[3], work)
        assert len(list((work / "models").iterdir())) == 3
    assert kill_at > 10  # it was killed at each of its steps


def test_a_first_run_that_is_killed_is_repaired_by_the_next(
    versions: list[Path], work: Path, killed_run: Callable[[Path, Path, int], bool]
) -> None:
    kill_at = 1
    while killed_run(versions[0], work, kill_at):
        place(versions[0], work)
        assert version_at(work / "current") == "1.0"
        assert sorted(path.name for path in work.iterdir()) == ["current", "models"]
        shutil.rmtree(work)
        kill_at += 1
    assert kill_at > 5
