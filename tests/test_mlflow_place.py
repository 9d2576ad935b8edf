"""Where MLflow's data is, and that no secret of it is shown."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ablations.tracking.client import artifacts_of, is_server
from ablations.tracking.place import public_uri, reason, tracking_uri, unchanged
from ablations.tracking.ui import ui
from senet_core.errors import InputError


def test_the_option_wins_over_the_environment_and_that_over_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(tmp_path, None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert tracking_uri(tmp_path, None) == "http://server:5000"
    assert tracking_uri(tmp_path, "sqlite:////data/m.db") == "sqlite:////data/m.db"


@pytest.mark.parametrize("folder", ["./mlruns", "file:///tmp/mlruns"])
def test_a_folder_is_refused_as_mlflow_would(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InputError, match="sqlite:///FILE"):
        tracking_uri(tmp_path, folder)


def test_an_address_of_no_known_kind_is_refused_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="named 'htp'; did you mean 'http'") as told:
        tracking_uri(tmp_path, "htp://bob:secret@host")
    assert "secret" not in str(told.value)
    with pytest.raises(InputError, match="folder such as '…host'"):
        tracking_uri(tmp_path, "bob:secret@host")
    assert tracking_uri(tmp_path, "postgresql+psycopg2://bob@host/db").endswith("host/db")


def test_a_page_of_a_database_that_cannot_be_opened_is_refused_without_its_secrets(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("no database, " * 100)
    for uri in (f"sqlite:///{tmp_path}/no.db", "mysql+nosuchdriver://bob:secret@host/db"):
        with pytest.raises(InputError, match="cannot be opened") as told:
            ui(uri, tmp_path, None, print)
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/path", "http://host:5000/path"),
        ("https://bob:secret@host:5000", "https://host:5000"),
        ("postgresql+psycopg2://bob:se@cret@host/db?password=secret", "postgresql+psycopg2://host/db"),
        ("http://host/?token=secret#secret", "http://host/"),
        ("http://bob:secret/x@host/", "http://…"),
        ("http://bob:secret?x@host/", "http://…"),
        ("http://host/?token=a@secret", "http://…"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("sqlite:////home/a@b/m.db", "sqlite:////home/a@b/m.db"),
        ("databricks", "databricks"),
        ("bob:secret@host", "…host"),
        ("http:/bob:se@cret@host/?token=secret", "…host/"),
        ("mlflow:http//bob:secret@host", "…host"),
    ],
)
def test_a_shown_address_bears_no_secret(uri: str, shown: str) -> None:
    assert public_uri(uri) == shown


def test_a_shown_reason_bears_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    uri = "http://bob:pass%20word@host:5000"
    try:
        try:
            raise ConnectionError(f"no way to {uri}?x=secret; pass word and pass%20word and t0ken are wrong\nand more")
        except ConnectionError as inner:
            raise RuntimeError("something else") from inner
    except RuntimeError as error:
        told = reason(error, uri)
    assert told == "ConnectionError: no way to http://host:5000 … and … and … are wrong"


def test_only_a_server_decides_where_artifacts_go(tmp_path: Path) -> None:
    databases = ("sqlite:///x.db", "postgresql+psycopg2://host/db")
    assert [artifacts_of(uri, tmp_path) for uri in databases] == [(tmp_path / "mlartifacts").as_uri()] * 2
    assert artifacts_of("http://host", tmp_path) is None
    assert not any(map(is_server, databases))


def test_a_database_that_is_read_is_a_copy_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"), unchanged(f"sqlite:///{tmp_path}/none.db"):
        pass
    assert not (tmp_path / "none.db").exists()
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table things (name)")
    with pytest.raises(InputError, match="no database of MLflow"), unchanged(f"sqlite:///{tmp_path}/other.db"):
        pass
    (tmp_path / "text.db").write_text("just text, and a good deal of it, so that it cannot be a header")
    with pytest.raises(InputError, match="cannot be read as a database"), unchanged(f"sqlite:///{tmp_path}/text.db"):
        pass
