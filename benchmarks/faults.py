"""Live through market years with faults and print what struck: `python -m benchmarks.faults`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.exceptions import GetTimeoutError, RayActorError

from actors.execution import ExecutionActor
from actors.risk import RiskActor
from actors.supervisor import Member, Supervisor
from dexml.events import Request
from dexml.execution.broker import Broker
from dexml.ledger import Ledger
from dexml.requests import record_request
from dexml.simulation.faults import Post, Report, live_year

MEMORY = Path("/dev/shm")  # a ledger in memory: what is simulated is the fault, not the disk


class ProductOwners:
    """The owners as they run under Ray, as plain objects in this process."""

    def risk(self, run: str, url: str) -> Any:
        return RiskActor(run, url)

    def execution(self, run: str, url: str, broker: Broker) -> Any:
        return ExecutionActor(run, url, broker)

    def driver(
        self,
        run: str,
        ledger: Ledger,
        call: Callable[..., Any],
        now: Callable[[], float],
        posts: dict[str, Post],
    ) -> Any:
        supervisor = Supervisor(run, ledger, call, now)
        for name, post in posts.items():
            supervisor.add(Member(name=name, handle=post))
        return supervisor

    def request(self, ledger: Ledger, run: str, request: Request) -> None:
        record_request(ledger, run, request)

    def silent(self) -> Exception:
        return GetTimeoutError("no answer in time")

    def dead(self) -> Exception:
        return RayActorError()


def live(seed: int, n_hours: int, owners: ProductOwners | None = None) -> Report:
    """Live through the hours of one seed in a folder of its own."""
    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dexml-faults-", dir=parent) as folder:
        return live_year(owners or ProductOwners(), seed, Path(folder), n_hours)


def main(arguments: list[str] | None = None) -> int:
    """Print one JSON object; 1 if an invariant was broken or too little struck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many years, from seed 0")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--hours", type=int, default=8_760, help="hours of each year")
    parser.add_argument("--least", type=int, default=0, help="fail if fewer faults struck")
    asked = parser.parse_args(arguments)
    struck: Counter[str] = Counter()
    violations: list[str] = []
    began = time.process_time()
    for seed in range(asked.first, asked.first + asked.seeds):
        report = live(seed, asked.hours)
        struck.update({str(fault): n for fault, n in report.injected.items()})
        violations += [f"seed {seed} {one}" for one in report.violations]
        print(
            f"seed {seed}: {report.n_injected} faults in {report.n_hours} hours, {report.n_orders} "
            f"orders, {report.n_checks} judgements, {len(report.violations)} violations, "
            f"digest {report.digest[:16]}",
            file=sys.stderr,
        )
        print(dict(report.errors), file=sys.stderr)
    found = {
        "injected": sum(struck.values()),
        "kinds": dict(struck.most_common()),
        "violations": len(violations),
        "first_violations": violations[:20],
        "cpu_s": round(time.process_time() - began, 1),
    }
    print(json.dumps(found, indent=2))
    return 1 if violations or found["injected"] < asked.least else 0


if __name__ == "__main__":
    sys.exit(main())
