"""Where MLflow's artifacts may lie."""

from pathlib import Path

import pytest

from serving.mlflow_server import lies_inside

ROOT = Path("/srv/workbench/objects/mlflow")
INSIDE = (
    "mlflow-artifacts:/1/abc/artifacts",
    "file:///srv/workbench/objects/mlflow/1",
    "/srv/workbench/objects/mlflow",
    "file:///srv/workbench/objects/mlflow/a%20b",
)
OUTSIDE = (
    *("", "mlflow-artifacts:/../x", "mlflow-artifacts:/a/%2e%2e/%2e%2e/x", "mlflow-artifacts://host/x", "s3://bucket/x"),
    *("file:///srv/workbench", "file:///srv/workbench/objects/mlflow/../../secret", "file:///srv/workbench/objects/mlflow2", "/etc"),
    *("./mlruns/0", "file://host/srv/workbench/objects/mlflow", "http://h/api/2.0/mlflow-artifacts/artifacts/1", "runs:/x/y"),
)


@pytest.mark.parametrize("location", INSIDE)
def test_what_lies_in_the_data_folder(location):
    assert lies_inside(location, ROOT)


@pytest.mark.parametrize("location", OUTSIDE)
def test_what_lies_elsewhere(location):
    assert not lies_inside(location, ROOT)


def test_a_link_out_of_the_folder_leads_outside(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to("/etc")
    assert not lies_inside(str(tmp_path / "root" / "link"), tmp_path / "root")
