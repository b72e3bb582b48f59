"""The image of the shop that the profile `demo` builds: without Docker, by what it is made of."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from shlex import split
from urllib.request import ProxyHandler, build_opener

import pytest

from containers import DEPLOY, ROOT, services
from launching import Launcher
from receivers import HttpReceiver, free_port

DOCKERFILE = DEPLOY / "Dockerfile"


def instruction(name: str) -> str:
    (found,) = re.findall(rf"^{name} (.*)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def sent_to_the_builder() -> list[str]:
    """What the .dockerignore lets through, at the top of the repository."""
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8")
    lines = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the builder is sent."""
    folder = tmp_path_factory.mktemp("context")
    for name in sent_to_the_builder():
        source = ROOT / name
        if source.is_dir():
            no_caches = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=no_caches)
        else:
            shutil.copy(source, folder)
    return folder


def test_what_the_builder_is_sent_makes_the_whole_package(context: Path, wheel: Path) -> None:
    assert "COPY . ." in DOCKERFILE.read_text(encoding="utf-8")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", "dist"]
    built = subprocess.run(command, cwd=context, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (own,) = (context / "dist").glob("*.whl")
    assert zipfile.ZipFile(own).namelist() == zipfile.ZipFile(wheel).namelist()


def test_the_shop_stands_where_the_command_looks_for_it(context: Path) -> None:
    copied = re.search(r"cp -r (\S+) (\S+)", DOCKERFILE.read_text(encoding="utf-8"))
    assert copied is not None
    assert (context / copied[1] / "__main__.py").exists()
    assert f'"{copied[2]}"' in instruction("CMD")


def test_the_extras_it_installs_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (asked,) = re.findall(r'"\.\[(.*)\]"', DOCKERFILE.read_text(encoding="utf-8"))
    assert set(asked.split(",")) <= extras["optional-dependencies"].keys()


def test_its_command_sends_traces_and_offers_metrics(
    launch: Launcher, http_receiver: HttpReceiver
) -> None:
    here = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": http_receiver.url,
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "WHENCE_METRICS_PORT": str(free_port()),
    }
    env = services()["demo"]["environment"]
    assert here.keys() <= env.keys()
    words = json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    assert words[:2] == ["whence", "run"]
    elsewhere = {"/shop": str(ROOT / "examples" / "shop"), "8080": "0"}
    words = [elsewhere.get(word, word) for word in words[1:]]
    shop = launch.start(*launch.whence, *words, env=env | here)
    http_receiver.received.wait_for(20)
    address = f"http://127.0.0.1:{here['WHENCE_METRICS_PORT']}/metrics"
    with build_opener(ProxyHandler({})).open(address, timeout=10) as answer:
        assert b'service_name="shop"' in answer.read()
    # It lives long enough to have sent metrics at its end, had it been told to.
    http_receiver.received.wait_for(100)
    shop.terminate()
    _, said = shop.communicate(timeout=20)
    assert shop.returncode == 0, said
    assert set(http_receiver.received.paths) == {"/v1/traces"}


def test_it_is_not_run_as_root() -> None:
    assert split(instruction("USER")) == ["nobody"]
