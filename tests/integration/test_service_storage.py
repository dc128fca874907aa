"""The service on disks that fail, and with transports that do: it counts on, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_service import configured, messages_in

from disk_trouble import damage, fill, remount, small_disk
from edgetally.counting.ledger import FILE_NAME, Storage
from edgetally.errors import EdgetallyError
from edgetally.service import Service

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle

FULL = Path("/dev/full")


def health_in(folder: Path) -> list[dict[str, Any]]:
    messages = [entry["message"] for entry in messages_in(folder)]
    return [message for message in messages if message["schema"] == "edgetally.health/1"]


def detections_in(folder: Path) -> list[int]:
    entries = messages_in(folder)
    return [e["message"]["sequence"] for e in entries if e["topic"].endswith("/detections")]


def test_on_a_full_disk_it_counts_on_and_says_so_from_the_first(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with small_disk() as disk:
        (disk / "state").mkdir()
        fill(disk)
        config = configured(bundle, tmp_path, storage={"path": str(disk / "state")})
        with pytest.raises(EdgetallyError, match=r"what was counted is lost: .*disk"):
            Service(config).run()
    first, *later = detections_in(tmp_path)
    assert first > 1e12  # the next run begins with 1
    assert later == list(range(first + 1, first + 12))
    told = health_in(tmp_path)
    assert {health["storage"]["state"] for health in told} == {"memory"}
    assert "kept in memory" in told[0]["storage"]["reason"]


def test_a_disk_that_became_read_only_gives_no_number_twice(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with small_disk(16) as disk:
        config = configured(bundle, tmp_path, storage={"path": str(disk / "state")})
        Service(config).run()
        remount(disk, "ro")
        with pytest.raises(EdgetallyError, match="what was counted is lost"):
            Service(config).run()
        remount(disk, "rw")
        assert [health["storage"]["state"] for health in health_in(tmp_path)][-1] == "memory"
        assert "is read-only; make it writable" in health_in(tmp_path)[-1]["stateReason"]
        Service(config).run()
    given = detections_in(tmp_path)
    assert [*given[:12], *given[24:]] == list(range(1, 25))
    assert given[12:24] == list(range(given[12], given[12] + 12))
    assert given[12] > 1e12


def test_a_damaged_ledger_is_set_aside_and_told(bundle: ModelBundle, tmp_path: Path) -> None:
    state = tmp_path / "state"
    Storage(state).close()
    damage(state / FILE_NAME)
    Service(configured(bundle, tmp_path)).run()
    storage = health_in(tmp_path)[0]["storage"]
    (aside,) = (path.name for path in state.glob("*.damaged-*Z"))
    assert storage["state"] == "ok"
    assert aside in storage["reason"]
    first, *later = detections_in(tmp_path)
    assert first > 1e12  # what was given out before can't be read
    assert later == list(range(first + 1, first + 12))


def test_what_was_set_aside_at_a_start_that_failed_is_told_at_the_next(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    Storage(state).close()
    damage(state / FILE_NAME)
    paths = {name: str(tmp_path / "missing.pem") for name in ("certificate", "privateKey")}
    broker = {"type": "mqtt", "endpoint": "localhost", **paths}
    with pytest.raises(EdgetallyError, match=r"missing\.pem"):
        Service(configured(bundle, tmp_path, publish={"transports": [broker]})).run()
    Service(configured(bundle, tmp_path)).run()
    (aside,) = (path.name for path in state.glob("*.damaged-*Z"))
    assert aside in health_in(tmp_path)[0]["storage"]["reason"]
    told = len(health_in(tmp_path))
    Service(configured(bundle, tmp_path)).run()
    assert health_in(tmp_path)[told]["storage"] == {"state": "ok", "reason": None}


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
def test_a_transport_that_fails_is_told_over_the_others(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    paths = (tmp_path / "messages.jsonl", FULL)
    publish = {"transports": [{"type": "jsonl", "path": str(path)} for path in paths]}
    with pytest.raises(EdgetallyError, match="messages could not be delivered and wait"):
        Service(configured(bundle, tmp_path, publish=publish)).run()
    outbox = health_in(tmp_path)[-1]["outbox"]
    assert outbox["transports"][f"jsonl {FULL}"]["state"] == "failing"
    assert outbox["transports"][f"jsonl {FULL}"]["waiting"] > 0
    assert outbox["transports"][f"jsonl {paths[0]}"]["state"] == "ok"
    assert outbox["waiting"] > 0
    assert outbox["dropped"] == {}
