"""What each preset becomes where it is used; nothing is started."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

import gpdata
from gpdata.config import SparkEnvironment, spark_environment
from gpdata.errors import InvalidInput
from gpdata.sessions import conf_directory
from gpdata.sessions.cluster import Plan, defaults, hidden, plan
from gpdata.sessions.cluster_files import private
from gpdata.sessions.presets import PRESETS

NOWHERE = SparkEnvironment(None, None)
POD = dataclasses.replace(
    NOWHERE,
    kubernetes="https://10.0.0.1:443",
    namespace="spark",
    image="registry/gpdata-spark:1",
    pod_ip="10.1.2.3",
    fallback="s3a://bucket/fallback",
)


def planned(preset: str | None, environment: SparkEnvironment = NOWHERE, **overrides: Any) -> Plan:
    return plan(preset, overrides, environment, conf_directory())


def test_the_presets_are_frozen_data() -> None:
    assert set(PRESETS) == {"local", "small", "large", "connect", "standalone", "k8s-small", "k8s-large"}
    for settings in PRESETS.values():
        assert all(name.startswith("spark.") for name in settings)
        with pytest.raises(TypeError):
            settings["spark.master"] = "x"  # type: ignore[index]
    with pytest.raises(TypeError):
        PRESETS["mine"] = {}  # type: ignore[index]
    before = {name: dict(settings) for name, settings in PRESETS.items()}
    planned("local", spark__master="local[3]")
    assert {name: dict(settings) for name, settings in PRESETS.items()} == before


def test_each_timeout_of_an_executor_is_finite() -> None:
    for name in ("standalone", "small", "large", "k8s-small", "k8s-large"):
        settings = PRESETS[name]
        assert settings["spark.dynamicAllocation.executorIdleTimeout"] == "60s"
        for which in ("shuffleTracking.timeout", "cachedExecutorIdleTimeout"):
            assert settings[f"spark.dynamicAllocation.{which}"].endswith("min")


def test_the_preset_is_the_environments_where_none_is_asked_for() -> None:
    assert planned(None).preset == "local"
    named = dataclasses.replace(NOWHERE, preset="standalone", master="spark://127.0.0.1:7077")
    assert planned(None, named).preset == "standalone"
    assert planned("local", named).master == "local[*]"
    with pytest.raises(InvalidInput, match=r"'loca' is GPDATA_SPARK_PRESET's; did you mean 'local'"):
        planned(None, dataclasses.replace(NOWHERE, preset="loca"))


def test_a_standalone_cluster_is_named_by_override_or_environment() -> None:
    named = dataclasses.replace(NOWHERE, master="spark://127.0.0.1:7077")
    found = planned("standalone", named)
    assert found.master == "spark://127.0.0.1:7077"
    # The address from which this machine reaches the master is the one by which the workers reach it.
    assert found.settings["spark.driver.host"] == found.settings["spark.driver.bindAddress"] == "127.0.0.1"
    assert "spark.authenticate" not in found.settings
    assert planned("standalone", named, spark__master="spark://127.0.0.1:7078").master.endswith("7078")
    with pytest.raises(InvalidInput, match="no cluster is named; set GPDATA_SPARK_MASTER"):
        planned("standalone")
    with pytest.raises(InvalidInput, match=r"valid is an address such as 'spark://host:7077'"):
        planned("standalone", spark__master="local[2]")
    with pytest.raises(InvalidInput, match="names no host and port"):
        planned("standalone", spark__master="spark://host:port")


def test_the_secret_of_a_cluster_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    site = dataclasses.replace(NOWHERE, master="spark://127.0.0.1:7077", secret_file=str(file))
    with pytest.raises(InvalidInput, match=r"GPDATA_SPARK_SECRET_FILE is .* cannot be read"):
        planned("standalone", site)
    file.write_text("\n")
    with pytest.raises(InvalidInput, match="which is empty"):
        planned("standalone", site)
    file.write_text("s3cr3t\n")
    found = planned("standalone", site)
    assert found.settings["spark.authenticate.secret"] == "s3cr3t"
    assert found.settings["spark.authenticate"] == found.settings["spark.network.crypto.enabled"] == "true"
    assert "s3cr3t" not in repr(found)


def test_a_size_is_for_whichever_cluster_is_named() -> None:
    assert (
        planned("large", dataclasses.replace(NOWHERE, master="spark://127.0.0.1:7077")).settings[
            "spark.executor.memory"
        ]
        == PRESETS["large"]["spark.executor.memory"]
    )
    inside = planned("small", POD)
    assert inside.master == "k8s://https://10.0.0.1:443"
    wanted = planned("k8s-small", POD).settings
    assert {**inside.settings, "spark.app.id": ""} == {**wanted, "spark.app.id": ""}
    with pytest.raises(InvalidInput, match="no cluster is named"):
        planned("small")


def test_kubernetes_has_pinned_ports_and_the_pods_address() -> None:
    found = planned("k8s-small", POD).settings
    ports = ("spark.driver.port", "spark.driver.blockManager.port", "spark.blockManager.port")
    assert [found[name] for name in ports] == ["7078", "7079", "7080"]
    assert found["spark.driver.host"] == found["spark.driver.bindAddress"] == "10.1.2.3"
    assert found["spark.kubernetes.namespace"] == "spark"
    assert found["spark.kubernetes.container.image"] == "registry/gpdata-spark:1"
    assert found["spark.authenticate"] == found["spark.network.crypto.enabled"] == "true"
    assert found["spark.storage.decommission.fallbackStorage.path"] == "s3a://bucket/fallback/"
    again = planned("k8s-small", POD)
    assert again.settings["spark.app.id"] != found["spark.app.id"], "each session has a name of its own"
    assert "spark.app.id" not in again.asked, "a live session may have another"
    assert Path(found["spark.kubernetes.executor.podTemplateFile"]).is_file()


def test_kubernetes_needs_what_only_the_cluster_knows() -> None:
    with pytest.raises(InvalidInput, match="GPDATA_SPARK_NAMESPACE and GPDATA_SPARK_IMAGE are not set"):
        planned("k8s-small", dataclasses.replace(POD, namespace=None, image=None))
    with pytest.raises(InvalidInput, match="no master is named outside of a cluster"):
        planned("k8s-large", dataclasses.replace(POD, kubernetes=None))
    with pytest.raises(InvalidInput, match=r"the master is 'spark://x:1'"):
        planned("k8s-large", POD, spark__master="spark://x:1")
    given = planned("k8s-small", POD, spark__kubernetes__namespace="mine", spark__driver__host="10.9.9.9").settings
    assert given["spark.kubernetes.namespace"] == "mine"
    assert given["spark.driver.host"] == "10.9.9.9"


def test_the_pod_template_is_restricted_and_its_volumes_limited() -> None:
    pod = yaml.safe_load((conf_directory() / "executor-pod.yaml").read_text())
    spec = pod["spec"]
    container = spec["containers"][0]
    named = planned("k8s-small", POD).settings["spark.kubernetes.executor.podTemplateContainerName"]
    assert container["name"] == named
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert all(volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    assert any(mount["name"].startswith("spark-local-dir-") for mount in container["volumeMounts"])
    assert list(spec["nodeSelector"]) == [taint["key"] for taint in spec["tolerations"]]
    # Spark names the image; without one no pod is valid.
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    pod["metadata"]["name"] = "executor"
    container["image"] = "x"
    kubernetes_validate.validate(pod, "1.34", strict=True)


def test_connect_is_a_named_server_or_one_of_ones_own() -> None:
    own = planned("connect")
    assert own.own_server
    assert own.settings["spark.driver.memory"] != "1g", "its default is too little"
    assert own.settings["spark.connect.grpc.binding.address"] == "127.0.0.1"
    named = planned("connect", spark__remote="sc://there:15002")
    assert (named.remote, named.own_server) == ("sc://there:15002", False)
    assert dict(named.settings) == {"spark.remote": "sc://there:15002"}, "the server has settings of its own"
    everywhere = dataclasses.replace(NOWHERE, remote="sc://there")
    assert planned("local", everywhere).remote == "sc://there"


def test_what_is_secret_is_hidden_and_in_no_command_line(tmp_path: Path) -> None:
    for name in ("spark.authenticate.secret", "spark.hadoop.fs.s3a.secret.key", "spark.hadoop.fs.s3a.access.key"):
        assert hidden(name)
    assert not hidden("spark.authenticate.secret.file")
    shown = gpdata.spark_settings("local", spark__hadoop__fs__s3a__secret__key="abc")
    assert shown["spark.hadoop.fs.s3a.secret.key"] == "(hidden)"
    assert "abc" not in str(shown) + repr(shown) + shown._repr_html_()
    assert shown["spark.sql.session.timeZone"] == "UTC"
    folder = private(conf_directory(), {"spark.hadoop.fs.s3a.secret.key": "a\\b é"})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "spark.hadoop.fs.s3a.secret.key=a\\\\b é" in (folder / "spark-defaults.conf").read_text()
    with pytest.raises(InvalidInput, match="line break"):
        private(tmp_path, {"spark.x": "a\nspark.y z"})


def test_the_defaults_are_read_as_spark_reads_them(tmp_path: Path) -> None:
    assert defaults(conf_directory())["spark.ui.enabled"] == "false"
    assert defaults(tmp_path) == {}


def test_the_environment_is_read_in_one_place() -> None:
    variables = {
        "GPDATA_SPARK_MASTER": "spark://one:7077",
        "GPDATA_SPARK_PRESET": "standalone",
        "GPDATA_POD_IP": "10.0.0.9",
        "KUBERNETES_SERVICE_HOST": "fd00::1",
        "GPDATA_SPARK_IMAGE": "",
    }
    found = spark_environment(variables)
    assert (found.master, found.preset, found.pod_ip, found.image) == (
        "spark://one:7077",
        "standalone",
        "10.0.0.9",
        None,
    )
    assert found.kubernetes == "https://[fd00::1]:443"
