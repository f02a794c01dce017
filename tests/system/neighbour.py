"""Somebody else's Ray on this machine: a counter that goes up each time a line is read."""

from __future__ import annotations

import json
import sys

import ray


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def next(self) -> int:
        self.count += 1
        return self.count


def main(temp_dir: str) -> None:
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=True,
        dashboard_port=0,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _temp_dir=temp_dir,
    )
    counter = ray.remote(num_cpus=0)(Counter).remote()
    for _line in sys.stdin:
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        seen = {
            "count": ray.get(counter.next.remote()),
            "nodes": nodes,
            "address": ray.get_runtime_context().gcs_address,
        }
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
