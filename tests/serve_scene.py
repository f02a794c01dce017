"""What `test_serve_app.py` asks about, seen on a local Ray with Serve; the last line is JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from dexml.cli_options import guard_ray

guard_ray()

import httpx  # noqa: E402
import ray  # noqa: E402
from ray import cloudpickle, serve  # noqa: E402

from actors import cluster, runtime  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from dexml.clock import SystemClock  # noqa: E402
from serve_app import ActorBackend, ServeArgs, application, http_options  # noqa: E402
from tests import planted_book as book  # noqa: E402

READ, READ_RECORD, _, _ = book.tokens()
ARGS = ServeArgs(run="r1", database_url="-", instruments=book.NAMES, simulated=True)
PARTS = ("forecast", "risk")


class StandIn:
    def health(self) -> dict[str, bool]:
        return {"ready": True}

    def latest(self, instrument: str) -> dict[str, Any]:
        return book.forecast(instrument)

    def view(self) -> dict[str, Any]:
        return book.risk_view()


def connect(args: ServeArgs) -> ActorBackend:
    return ActorBackend(
        args, runtime.call, book.BookLedger([READ_RECORD]), SystemClock(), book.hold
    )


def seen(client: httpx.Client) -> dict[str, Any]:
    said = {
        "readyz": client.get("/readyz").json(),
        "prediction": client.get("/v1/predictions/BTC-USDT").json(),
        "wrong token": client.get("/v1/risk", headers={"Authorization": "Bearer no"}).status_code,
        "page": client.get("/").text,
        "large body": client.post("/v1/risk", content=b"x" * 70_000).status_code,
    }
    ray.kill(runtime.find("risk"))
    refused = client.get("/v1/risk")
    said["risk of the dead"] = (refused.status_code, refused.json())
    said["decisions"] = client.get("/v1/decisions").status_code
    return said


def main() -> None:
    port = cluster.free_port()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with sandbox() as folder:
        cluster.start_local(folder, num_cpus=2, dashboard=False)
        actor = ray.remote(num_cpus=0)(StandIn).options
        kept = [actor(name=name, namespace=runtime.NAMESPACE).remote() for name in PARTS]
        serve.start(http_options=http_options(port=port))
        serve.run(application(ARGS, connect), name="dexml", route_prefix="/")
        headers = {"Authorization": f"Bearer {READ}"}
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
            said = seen(client)
        assert len(kept) == len(PARTS)  # they live while somebody holds them
        serve.shutdown()
        ray.shutdown()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
