"""Live through market years with faults and print what struck: `python -m benchmarks.faults`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
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
from dexml.simulation.faults import Fault, Post, Report, live_year
from dexml.state import KernelConfig

INVARIANTS = tuple(f"I{number}" for number in range(1, 9))
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
        send: Callable[..., Callable[[float], Any]],
        now: Callable[[], float],
        posts: dict[str, Post],
    ) -> Any:
        supervisor = Supervisor(run, ledger, send, now)
        for name, post in posts.items():
            supervisor.add(Member(name=name, handle=post))
        return supervisor

    def request(self, ledger: Ledger, run: str, request: Request) -> None:
        record_request(ledger, run, request)

    def silent(self) -> Exception:
        return GetTimeoutError("no answer in time")

    def dead(self) -> Exception:
        return RayActorError()


def live(
    seed: int,
    n_hours: int,
    owners: ProductOwners | None = None,
    config: KernelConfig | None = None,
    only: Sequence[Fault] = (),
) -> Report:
    """Live through the hours of one seed in a folder of its own."""
    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="dexml-faults-", dir=parent) as folder:
        return live_year(owners or ProductOwners(), seed, Path(folder), n_hours, config, only)


def line(report: Report) -> str:
    """Say in one line what a seed did."""
    return (
        f"seed {report.seed}: {report.n_injected:,} faults of {len(report.injected)} kinds in "
        f"{report.n_hours:,} hours, {report.n_orders:,} orders ({report.n_between:,} of them in "
        f"{report.n_looks:,} looks between closes), {report.n_checks:,} judgements, "
        f"{len(report.violations)} violations, digest {report.digest[:16]}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print one JSON object; 1 if one of I1 to I8 was broken or not tried, or too little struck."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many years")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--hours", type=int, default=8_760, help="hours of each year")
    parser.add_argument("--jobs", type=int, default=1, help="years lived through at a time")
    parser.add_argument("--least", type=int, default=0, help="fail if fewer faults struck")
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds)
    struck: Counter[str] = Counter()
    judged: Counter[str] = Counter(dict.fromkeys(INVARIANTS, 0))
    violations: list[str] = []
    began = time.perf_counter()
    with get_context("spawn").Pool(min(asked.jobs, asked.seeds)) as pool:
        for report in pool.imap(partial(live, n_hours=asked.hours), seeds):
            struck.update({str(fault): n for fault, n in report.injected.items()})
            judged.update(report.judged)
            violations += [f"seed {report.seed} {one}" for one in report.violations]
            print(line(report), file=sys.stderr, flush=True)
    found = {
        "injected": sum(struck.values()),
        "judged": dict(judged),
        "violations": len(violations),
        "first_violations": violations[:20],
        "seconds": round(time.perf_counter() - began, 1),
        "kinds": dict(struck.most_common()),
    }
    print(json.dumps(found, indent=2))
    idle = [name for name, n in judged.items() if n == 0]
    return 1 if violations or idle or found["injected"] < asked.least else 0


if __name__ == "__main__":
    sys.exit(main())
