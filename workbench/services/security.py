"""What ``workbench doctor --security`` finds: each point that a deployment can leave open, in a sentence with what to do.

Nothing is started or changed. What cannot be seen from here (a workbench that does not run, tables that do not exist yet)
is said to be not checked, and does not count as open.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlmodel import Session, col, select

from infra.database import Database, as_utc
from infra.database.people import OWNER
from infra.database.tables import ApiToken, User, now
from infra.datafolder import OTHERS, DataFolder
from infra.settings import Settings
from workbench.supervisor.processes import listening, marked, name_of

LONGEST_SESSION_HOURS = 24 * 30
LONGEST_TOKEN_DAYS = 365
UNUSED_AFTER = timedelta(days=60)
LARGEST_JSON_MB = 64
LARGEST_FORM_KB = 1024
LARGEST_UPLOAD_MB = 16_384
PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
TLS_MODES = ("require", "verify-ca", "verify-full")
SECRET_FILES = ("secret", "owner-token", "ray-token")


@dataclass(frozen=True)
class Point:
    """One point: its name, whether it is ``closed``, ``open`` or ``not checked``, and a sentence that says why and what to do."""

    name: str
    state: str
    sentence: str


def examine_security(settings: Settings) -> dict[str, Any]:
    """All points as JSON values, and how many are open."""
    points = [point for check in CHECKS for point in check(settings)]
    return {"points": [asdict(point) for point in points], "open": sum(point.state == "open" for point in points)}


def _point(name: str, problem: str | None, closed: str) -> Point:
    return Point(name, "open" if problem else "closed", problem or closed)


# -- files


def _data_folder(settings: Settings) -> Iterator[Point]:
    home = settings.home.resolve()
    if not home.is_dir():
        yield Point("data folder", "not checked", f"{home} does not exist yet; the first start makes it, for this user alone.")
        return
    found = home.stat()
    problem = None
    if found.st_uid != os.geteuid():
        problem = f"{home} belongs to another user (id {found.st_uid}). Run the workbench as that user, or name another folder."
    elif found.st_mode & OTHERS:
        problem = f"Other users may enter {home}. Close it: chmod 700 {home}"
    yield _point("data folder", problem, f"{home} can be entered by this user alone.")
    wide = [name for name in SECRET_FILES if (home / name).exists() and (home / name).stat().st_mode & OTHERS]
    problem = f"Other users may read {', '.join(wide)} in {home}. Delete them: new ones are made at the next start." if wide else None
    yield _point("secrets", problem, "The signing secret and the tokens in the data folder can be read by this user alone.")


def _object_folder(settings: Settings) -> Iterator[Point]:
    folder = settings.objects_path
    if settings.storage.kind != "local" or folder.is_relative_to(settings.home.resolve()) or not folder.is_dir():
        return
    wide = folder.stat().st_mode & OTHERS
    yield _point(
        "object store folder",
        f"Other users may enter {folder}, which holds uploads and reports. Close it: chmod 700 {folder}" if wide else None,
        f"{folder} can be entered by this user alone.",
    )


def _umask(settings: Settings) -> Iterator[Point]:
    pids = marked(settings.home)
    if not pids:
        yield Point("umask", "not checked", "No workbench runs on this data folder.")
        return
    wide = sorted({name_of(pid) for pid in pids if _umask_of(pid) not in (None, 0o077)})
    yield _point(
        "umask",
        f"These processes write files that others may read: {', '.join(wide)}. Restart the workbench by `workbench up`." if wide else None,
        "What every process of the workbench writes is for this user alone.",
    )


def _umask_of(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return None


# -- the network


def _gateway(settings: Settings) -> Iterator[Point]:
    shared, secure = is_shared(settings), settings.url.startswith("https://")
    where = settings.gateway.public_url or f"http://{settings.gateway.host}:{settings.gateway.port}"
    problem = None
    if shared and not secure:
        problem = (
            f"People reach {where} without encryption: passwords, tokens and scans can be read on the way. Put a reverse proxy "
            "with TLS before it, set gateway.host to 127.0.0.1 and gateway.public_url to its https address."
        )
    elif secure and not is_local(settings.gateway.host):
        problem = (
            f"Beside {settings.url} the gateway listens on {settings.gateway.host} without encryption. Let only the proxy reach it: set "
            "gateway.host to 127.0.0.1, or close the port to others and set gateway.trusted_proxies."
        )
        problem = None if settings.gateway.trusted_proxies else problem
    closed = "People reach the gateway by https." if shared else "The gateway is reached on this machine alone."
    yield _point("encryption", problem, closed)
    yield _point(
        "cookies",
        "Session cookies are sent without encryption. Set gateway.public_url to an https address." if shared and not secure else None,
        "Session cookies are sent by https alone." if secure else "Session cookies stay on this machine.",
    )
    if settings.gateway.public_url and not is_local(urlsplit(settings.gateway.public_url).hostname or ""):
        unnamed = (
            "Everybody seems to come from the proxy's address, and shares its limit on sign-ins. Name the proxy in gateway.trusted_proxies."
        )
        named = bool(settings.gateway.trusted_proxies)
        yield _point("reverse proxy", None if named else unnamed, "The proxy says from which address somebody comes.")


def _listeners(settings: Settings) -> Iterator[Point]:
    pids = marked(settings.home)
    if not pids:
        yield Point("open ports", "not checked", "No workbench runs on this data folder.")
        return
    found = [(pid, host, port) for pid, host, port in listening(pids) if not is_local(host) and port != settings.gateway.port]
    told = ", ".join(sorted({f"{name_of(pid)} on {host}:{port}" for pid, host, port in found}))
    problem = f"These listen beyond this machine: {told}. Whoever reaches Ray can run code. Close the ports." if told else None
    yield _point("open ports", problem, "Ray, the models and MLflow listen on this machine alone.")


def _ray(settings: Settings) -> Iterator[Point]:
    if settings.ray.address is None:
        yield _point("Ray", None, "Ray is started for this data folder, and opened by its own token.")
        return
    open_to_all = os.environ.get("RAY_AUTH_MODE") != "token"
    yield _point(
        "Ray",
        f"The Ray cluster at {settings.ray.address} is joined without a token: whoever reaches it can run code. "
        "Set RAY_AUTH_MODE=token on the cluster and here, and keep its ports in a private network."
        if open_to_all
        else None,
        f"The Ray cluster at {settings.ray.address} is joined with a token.",
    )


def _mlflow(settings: Settings) -> Iterator[Point]:
    uri = settings.mlflow.tracking_uri
    if uri and uri.startswith(("http://", "https://")):
        yield _remote("MLflow", "mlflow.tracking_uri", uri)
        status = _status_of(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")
        yield _point(
            "MLflow without a secret",
            f"The MLflow server at {urlsplit(uri).hostname} lets everybody who reaches it read and change everything. "
            "Set up sign-in there (`mlflow server --app-name basic-auth`), or close its port to all but this machine."
            if status == 200
            else None,
            "MLflow answers nobody without a secret." if status else "MLflow does not answer from here.",
        )
        return
    running = DataFolder(settings.home).running() if settings.home.is_dir() else None
    socket = Path(running.mlflow_socket) if running and running.mlflow_socket else None
    if socket is None or not socket.exists():
        yield Point("MLflow without a secret", "not checked", "MLflow's server does not run here.")
        return
    yield _point(
        "MLflow without a secret",
        f"Other users may connect to MLflow at {socket}, past the gateway and its rights. Close its folder: chmod 700 {socket.parent}"
        if socket.parent.stat().st_mode & OTHERS and socket.stat().st_mode & OTHERS
        else None,
        "MLflow listens on a socket that this user alone can connect to.",
    )


def _status_of(url: str) -> int:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0


# -- services elsewhere


def _databases(settings: Settings) -> Iterator[Point]:
    for setting, url in (("database.url", settings.database.url), ("database.jobs_url", settings.database.jobs_url)):
        if url is None or make_url(url).get_backend_name() == "sqlite":
            continue
        parsed = make_url(url)
        yield _point(
            f"{setting}: password",
            f"The password of the database stands in {setting} as plain text. Put it into a password file (PGPASSFILE) or the "
            "service's secret store."
            if parsed.password
            else None,
            f"No password stands in {setting}.",
        )
        mode = str(parsed.query.get("sslmode", os.environ.get("PGSSLMODE", "")))
        plain = not is_local(parsed.host or "") and mode not in TLS_MODES
        yield _point(
            f"{setting}: encryption",
            f"The database at {parsed.host} is reached without encryption that is enforced. Add ?sslmode=verify-full to {setting}."
            if plain
            else None,
            f"The database of {setting} is reached by TLS, or on this machine.",
        )


def _services(settings: Settings) -> Iterator[Point]:
    if settings.storage.kind == "s3" and settings.storage.endpoint_url:
        yield _remote("object store", "storage.endpoint_url", settings.storage.endpoint_url)
    if settings.knowledge.opensearch_url:
        yield _remote("OpenSearch", "knowledge.opensearch_url", settings.knowledge.opensearch_url)


def _remote(name: str, setting: str, url: str) -> Point:
    parts = urlsplit(url)
    plain = parts.scheme == "http" and not is_local(parts.hostname or "")
    return _point(
        name,
        f"{name} at {parts.hostname} is reached without encryption. Give {setting} an https address." if plain else None,
        f"{name} is reached by https, or on this machine.",
    )


# -- people


def _people(settings: Settings) -> Iterator[Point]:
    found = _read(settings, lambda session: list(session.exec(select(User).where(User.role == OWNER, col(User.disabled_at).is_(None)))))
    if found is None:
        yield Point("owners", "not checked", "There are no tables yet.")
        return
    without = [user.name for user in found if user.password_hash is None] if is_shared(settings) else []
    yield _point(
        "owners",
        f"Owners without a password: {', '.join(without)}. They can sign in only by links from this machine; set one at "
        f"{settings.url}/auth/password."
        if without
        else None,
        "Every owner has a password." if is_shared(settings) else "The workbench is not shared: owners sign in by links from this machine.",
    )


def _tokens(settings: Settings) -> Iterator[Point]:
    days = settings.gateway.token_days
    yield _point(
        "life of tokens",
        f"API tokens are valid for {days} days. Set gateway.token_days to {LONGEST_TOKEN_DAYS} or less."
        if days > LONGEST_TOKEN_DAYS
        else None,
        f"API tokens expire after {days} days at most.",
    )
    moment = now()
    valid = (col(ApiToken.revoked_at).is_(None), col(ApiToken.expires_at) > moment)
    found = _read(settings, lambda session: list(session.exec(select(ApiToken, User.name).join(User).where(*valid))))
    if found is None:
        yield Point("tokens", "not checked", "There are no tables yet.")
        return
    used_last, longest = moment - UNUSED_AFTER, moment + timedelta(days=LONGEST_TOKEN_DAYS)
    unused = sorted(f"{token.name} of {name}" for token, name in found if as_utc(token.last_used_at or token.created_at) < used_last)
    long = sorted(f"{token.name} of {name}" for token, name in found if as_utc(token.expires_at) > longest)
    told = [f"not used for {UNUSED_AFTER.days} days: {', '.join(unused)}"] if unused else []
    told += [f"valid for more than a year: {', '.join(long)}"] if long else []
    advice = "Revoke those that nobody needs: `workbench tokens revoke`, or the page Settings."
    problem = f"Tokens {'; '.join(told)}. {advice}" if told else None
    yield _point("tokens", problem, "Every token expires, and has been used of late.")


def _read(settings: Settings, function: Callable[[Session], Any]) -> Any:
    """What ``function`` finds in the tables; None where there are none, or of an earlier version."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    database = Database(settings.database_url)
    try:
        with database.session() as session:
            return function(session)
    except Exception:
        return None
    finally:
        database.close()


# -- limits


def _limits(settings: Settings) -> Iterator[Point]:
    gateway = settings.gateway
    yield _point(
        "life of sessions",
        f"A browser stays signed in for {gateway.session_hours} hours. Set gateway.session_hours to {LONGEST_SESSION_HOURS} or less."
        if gateway.session_hours > LONGEST_SESSION_HOURS
        else None,
        f"A browser stays signed in for {gateway.session_hours} hours at most.",
    )
    large = [
        f"gateway.{name} to {most} or less"
        for name, most in (("max_form_kb", LARGEST_FORM_KB), ("max_json_mb", LARGEST_JSON_MB), ("max_upload_mb", LARGEST_UPLOAD_MB))
        if getattr(gateway, name) > most
    ]
    yield _point(
        "size of requests",
        f"Requests may be so large that few of them fill memory or disk. Set {', '.join(large)}." if large else None,
        f"Requests are limited: {gateway.max_form_kb} kB to sign in, {gateway.max_json_mb} MB without files, "
        f"{gateway.max_upload_mb} MB with files.",
    )


def _pickle(settings: Settings) -> Iterator[Point]:
    allowed = sorted({name_of(pid) for pid in marked(settings.home) if _variable(pid, PICKLE) == "true"})
    problem = f"MLflow may load pickled models, which run code, in: {', '.join(allowed)}. Unset {PICKLE}." if allowed else None
    yield _point("pickle", problem, "MLflow loads no pickled models.")


def _variable(pid: int, name: str) -> str | None:
    with contextlib.suppress(OSError):
        for one in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if one.startswith(name.encode() + b"="):
                return one.partition(b"=")[2].decode("utf-8", "replace").lower()
    return None


CHECKS: tuple[Callable[[Settings], Iterator[Point]], ...] = (
    *(_data_folder, _object_folder, _umask, _gateway, _listeners, _ray, _mlflow, _pickle),
    *(_databases, _services, _people, _tokens, _limits),
)


def is_local(host: str) -> bool:
    """Whether a host is this machine's loopback (or a Unix socket: no host at all)."""
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_shared(settings: Settings) -> bool:
    """Whether people reach the workbench from other machines."""
    return not is_local(settings.gateway.host) or not is_local(urlsplit(settings.url).hostname or "")
