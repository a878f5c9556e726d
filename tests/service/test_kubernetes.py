"""The manifest for Kubernetes says what the compose file says."""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).parents[2]
OBJECTS = list(yaml.safe_load_all((HERE / "deploy" / "kubernetes.yaml").read_text()))
SERVICES = yaml.safe_load((HERE / "docker-compose.yml").read_text())["services"]
CLUSTER = next(thing["spec"] for thing in OBJECTS if thing["kind"] == "RayCluster")
GROUPS = {"ray-head": CLUSTER["headGroupSpec"]} | {f"ray-{g['groupName']}": g for g in CLUSTER["workerGroupSpecs"]}
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def pods() -> list[dict]:
    """The pod of every object that has one."""
    templates = [thing["spec"]["template"] for thing in OBJECTS if "template" in thing.get("spec", {})]
    return [template["spec"] for template in (*templates, *(group["template"] for group in GROUPS.values()))]


def test_every_pod_is_confined():
    """An ordinary user, no capabilities, no rights at the Kubernetes API, secrets as files."""
    assert len(pods()) == 6
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert all(set(variable) == {"name", "value"} for variable in container["env"])
            assert container["image"].split(":")[1].startswith("0.1.0")


def test_the_nodes_are_started_as_those_of_compose():
    """Ray's options by group are those of the service of the same name; all of them are strings, as KubeRay wants."""
    implied = {"--head", "--port=6379", "--address=ray-head:6379", "--block"}  # KubeRay adds them itself
    for name, group in GROUPS.items():
        assert set(group) <= GROUP_FIELDS
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        options = {f"--{option}={value}" for option, value in group["rayStartParams"].items()}
        assert options == set(SERVICES[name]["command"]) - implied


def test_ray_has_its_token_and_the_trainers_no_password():
    """Every pod of Ray has the token's file, from a secret that holds nothing else."""
    for group in GROUPS.values():
        pod = group["template"]["spec"]
        variables = {variable["name"]: variable["value"] for variable in pod["containers"][0]["env"]}
        assert variables["RAY_AUTH_MODE"] == "token"
        assert not any("DATABASE" in name for name in variables)
        assert [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume] == ["vi3nr-ray"]
