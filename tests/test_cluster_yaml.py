from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CLUSTER.read_text("utf-8"))
    return loaded


def test_rays_own_validator_accepts_the_cluster(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_rays_own_validator_would_notice_a_misspelt_key(cluster: dict[str, Any]) -> None:
    import jsonschema
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        validate_config(prepare_config(cluster | {"setup_comands": []}))


def test_every_ray_process_asks_for_the_token_and_the_dashboard_stays_on_loopback(
    cluster: dict[str, Any],
) -> None:
    commands = cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"]
    starts = [command for command in commands if "ray start" in command]
    assert len(starts) == 2
    assert all(command.startswith("RAY_AUTH_MODE=token ") for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "0.0.0.0" not in CLUSTER.read_text("utf-8")


def test_the_nodes_run_this_checkout_with_its_pins_and_nothing_of_the_same_name_elsewhere(
    cluster: dict[str, Any],
) -> None:
    mounted = next(far for far, near in cluster["file_mounts"].items() if near == ".")
    install = next(one for one in cluster["setup_commands"] if "pip install" in one)
    assert install.endswith(f"-c {mounted}/constraints.txt {mounted}")
