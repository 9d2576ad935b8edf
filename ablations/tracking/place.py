"""Where MLflow's data is: the address, what of it may be shown, and how to read it without a change."""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

from ablations.tracking.client import is_server, scratch
from senet_core.errors import InputError, unknown

SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")
"""What MLflow's addresses begin with; a database's driver may follow ("postgresql+psycopg2")."""
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Environment variables by which MLflow takes what must not be shown."""


def need_mlflow() -> None:
    """:raises InputError: where MLflow is not installed."""
    if importlib.util.find_spec("mlflow") is None:
        raise InputError("MLflow is not installed, so there is nothing to write to or to show; install it with: pip install mlflow")


def tracking_uri(workspace: Path, given: str | None) -> str:
    """Where MLflow's data goes: the option, else ``MLFLOW_TRACKING_URI``, else a SQLite file in the workspace.

    :raises InputError: for a folder, which current MLflow no longer writes to, and for an address that is none.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.absolute() / 'mlflow.db'}"
    scheme, separator, _ = uri.partition("://")
    if uri.partition(":")[0] == "databricks":
        return uri
    if not separator or scheme == "file":
        raise InputError(
            f"MLflow no longer writes to a folder such as '{public_uri(uri)}'; give a database (sqlite:///FILE) or a server (http://HOST:PORT)."
        )
    if scheme.partition("+")[0] not in SCHEMES:
        raise unknown("kind of MLflow address", scheme, SCHEMES)
    return uri


def public_uri(uri: str) -> str:
    """The URI as it may be printed or logged: without user, password, query or fragment. What cannot be told apart is left out."""
    scheme, separator, rest = uri.partition("://")
    if scheme.startswith("sqlite"):
        return uri.partition("?")[0]
    if not separator:  # mistyped: whatever stands before an @ may be a password
        return re.sub(r"^.*@", "…", uri.partition("?")[0])
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    shown = re.split(r"[?#]", rest[authority.rfind("@") + 1 :], maxsplit=1)[0]
    ambiguous = "@" in shown or ("@" in rest and "@" not in authority)
    return f"{scheme}://{'…' if ambiguous else shown}"


def reason(error: BaseException, uri: str) -> str:
    """The first line of the error behind it all, without the secrets of the URI or the environment, which messages may repeat."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    text = str(error).partition("\n")[0].replace(uri, public_uri(uri))
    text = re.sub(r"://\S*@", "://", text)
    text = re.sub(r"\?\S*", "", text)
    for secret in filter(None, [*_passwords(uri), *map(os.environ.get, SECRETS)]):
        text = text.replace(secret, "…")
    return f"{type(error).__name__}: {text}"[:200]


def _passwords(uri: str) -> list[str]:
    user, separator, _ = uri.partition("://")[2].rpartition("@")
    password = user.partition(":")[2] if separator else ""
    return [password, unquote(password)]


@contextmanager
def unchanged(uri: str) -> Iterator[str]:
    """The URI of something that may be opened without a change to what is at ``uri``.

    MLflow brings a database of an older version to its own as soon as it opens it, and makes one where there is none; so a SQLite file is
    copied and the copy is opened.

    :raises InputError: if there is no such file, or it is no database of MLflow.
    """
    if is_server(uri) or not uri.startswith("sqlite:"):
        yield uri
        return
    database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if not database.is_file():
        raise InputError(f"There is no file '{database}'.")
    with scratch() as folder:
        try:
            with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source:
                tables = {name for (name,) in source.execute("select name from sqlite_master where type = 'table'")}
                with closing(sqlite3.connect(folder / "copy.db")) as target:
                    source.backup(target)
        except sqlite3.Error as error:
            raise InputError(f"'{database}' cannot be read as a database: {error}.") from None
        if not {"experiments", "runs"} <= tables:
            raise InputError(f"'{database}' is no database of MLflow.")
        yield f"sqlite:///{folder / 'copy.db'}"
