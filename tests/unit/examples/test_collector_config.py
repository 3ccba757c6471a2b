"""What surrounds the Collector configurations: Kubernetes, systemd, compose, spanledger's own files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from spanledger.config.settings import load_settings, require_no_loop
from support.collectors import CONFIGS
from support.processes import COMMAND

KUBERNETES = yaml.safe_load((CONFIGS / "kustomization.yaml").read_text())
COMPOSE = yaml.safe_load((CONFIGS / "compose" / "compose.yaml").read_text())


def variables(path: Path) -> set[str]:
    """Environment variables that a Collector configuration reads."""
    return set(re.findall(r"\$\{env:(\w+)", path.read_text()))


@pytest.mark.parametrize("path", sorted((CONFIGS / "spanledger").glob("*.yaml")), ids=lambda path: path.name)
def test_spanledger_takes_its_configurations(path):
    settings = load_settings(path, {}, {})

    require_no_loop(settings)
    assert settings.ledger.path == Path("/var/lib/spanledger/ledger.db")


def test_migration_sends_cost_metrics_alone():
    (destination,) = load_settings(CONFIGS / "spanledger" / "migration.yaml", {}, {}).destinations.values()

    assert (destination.signals, destination.cost_metrics) == (frozenset(), True)


@pytest.mark.parametrize("resource", KUBERNETES["resources"])
def test_kubernetes_runs_the_configurations_as_they_are(resource):
    files = {one["name"]: one["files"][0].removeprefix("config.yaml=") for one in KUBERNETES["configMapGenerator"]}
    _, stateful = yaml.safe_load_all((CONFIGS / resource).read_text())
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (volume,) = (volume for volume in pod["volumes"] if "configMap" in volume)
    source = CONFIGS / files[volume["configMap"]["name"]]
    given = {one["name"]: one["value"] for one in container["env"]}

    assert stateful["spec"]["replicas"] == 1
    if source.parent == CONFIGS:
        assert given.keys() - {"GOMEMLIMIT"} <= variables(source)
    else:
        require_no_loop(load_settings(source, given, {}))


def test_kubectl_builds_the_kustomization():
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl")
    built = subprocess.run(["kubectl", "kustomize", CONFIGS], capture_output=True, text=True, check=True, timeout=60)

    kinds = sorted(document["kind"] for document in yaml.safe_load_all(built.stdout))
    assert kinds == ["ConfigMap"] * 3 + ["Service"] * 3 + ["StatefulSet"] * 3


def test_systemd_takes_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    for unit in (CONFIGS / "systemd").iterdir():
        name = unit.name.replace("@", "@in-front")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    units = [str(unit) for unit in tmp_path.iterdir()]

    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)

    assert [line for line in checked.stderr.splitlines() if str(tmp_path) in line] == []
    assert checked.returncode == 0, checked.stderr


def test_the_units_command_serves_with_its_environment_and_outlives_a_reload(tmp_path):
    unit = (CONFIGS / "systemd" / "spanledger.service").read_text()
    lines = dict(re.findall(r"^(ExecStart|ExecReload|Environment)=(.*)$", unit, re.MULTILINE))
    program, verb, *arguments = lines["ExecStart"].split()
    name, _, state = lines["Environment"].partition("=")
    config = tmp_path / "config.yaml"
    free = {"endpoint": "127.0.0.1:0"}
    config.write_text(yaml.safe_dump({"admin": free, "receiver": {"grpc": dict(free), "http": dict(free)}}))

    assert (Path(program).name, verb, arguments) == (COMMAND.name, "serve", ["--config", "/etc/spanledger/config.yaml"])
    serving = subprocess.Popen(
        [COMMAND, verb, "--config", config],
        env={"PATH": os.environ["PATH"], name: state.replace("%S", str(tmp_path))},
        stdout=subprocess.PIPE,
        text=True,
    )
    with serving:
        assert serving.stdout.readline().startswith("spanledger ready")
        subprocess.run(lines["ExecReload"].replace("$MAINPID", str(serving.pid)), shell=True, check=True)
        serving.terminate()
        assert serving.wait(timeout=30) == os.EX_OK
    assert (tmp_path / "spanledger" / "ledger.db").is_file()


def test_compose_mounts_what_is_there_and_sets_what_is_read():
    for name in ("in-front", "spanledger", "behind"):
        service = COMPOSE["services"][name]
        source, _, _ = service["volumes"][0].partition(":")
        path = (CONFIGS / "compose" / source).resolve()
        assert path.is_relative_to(CONFIGS)
        assert path.exists()
        if name != "spanledger":
            assert set(service["environment"]) <= variables(path)
    named = {volume.partition(":")[0] for s in COMPOSE["services"].values() for volume in s["volumes"]}
    assert {one for one in named if not one.startswith(".")} == set(COMPOSE["volumes"])


def test_the_readme_speaks_of_every_file():
    readme = (CONFIGS / "README.md").read_text()
    files = [path.relative_to(CONFIGS) for path in CONFIGS.rglob("*") if path.is_file() and path.name != "README.md"]
    assert [str(path) for path in files if str(path) not in readme and f"{path.parts[0]}/" not in readme] == []
