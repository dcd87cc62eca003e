"""Settings: one nested, typed tree. Precedence: flags > environment > profile > the defaults below.

The environment names a field by ``WORKBENCH_`` and its path with two underscores between levels, for
example ``WORKBENCH_GATEWAY__PORT=8080``. Unknown names are refused, with the nearest known one.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from infra.backends import find_backend
from infra.errors import ConfigurationError

PROFILES = Path(__file__).parent / "deploy" / "profiles"

# Names a client or a test reads by itself; they are no fields of the tree.
CLIENT_VARIABLES = {
    "WORKBENCH_URL",
    "WORKBENCH_TOKEN",
    "WORKBENCH_DATA",
    "WORKBENCH_OPENSEARCH_URL",
}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gateway(Section):
    host: str = Field(default="127.0.0.1", description="Address the gateway listens on; the loopback unless you mean to share it.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port of the gateway.")
    public_url: str | None = Field(default=None, description="Address people use, when it is not http://host:port (a proxy, a cluster).")
    max_upload_mb: int = Field(default=4096, gt=0, description="Largest upload taken, in MB; a larger one is refused while it arrives.")
    max_json_mb: int = Field(default=8, gt=0, description="Largest body that is no file (JSON, page events), in MB.")
    max_form_kb: int = Field(default=64, gt=0, description="Largest body below /auth/, where strangers may send, in kB.")
    sign_in_tries_per_minute: int = Field(
        default=20, gt=0, description="Sign-in attempts by password taken from one address in a minute; more are refused at once."
    )
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Addresses or networks of reverse proxies, as JSON, whose X-Forwarded-For is believed. "
        "Without it everybody behind a proxy has the proxy's address, and shares its limits.",
    )
    session_hours: int = Field(default=24 * 14, gt=0, description="How long a signed-in session lasts, in hours.")
    sign_in_link_minutes: int = Field(default=60, gt=0, description="How long a one-time sign-in link can be used, in minutes.")
    invitation_hours: int = Field(
        default=48, gt=0, description="How long the link can be used that a person gets who is added or reset, in hours."
    )
    token_days: int = Field(default=90, gt=0, description="How long an API token is valid, in days; also the most that can be asked for.")


class Database(Section):
    url: str | None = Field(default=None, description="SQLAlchemy address of the tables; by default SQLite in the data folder.")
    jobs_url: str | None = Field(default=None, description="SQLAlchemy address of the durable jobs; by default SQLite in the data folder.")


class Buckets(Section):
    uploads_raw: str = Field(default="uploads-raw", description="Files as they were uploaded, and scans made from them.")
    kb_raw: str = Field(default="kb-raw", description="Documents of the knowledge base as they were added.")
    kb_vectors: str = Field(default="kb-vectors", description="Embeddings of the knowledge base, for rebuilding an index.")
    analysis_reports: str = Field(default="analysis-reports", description="What analyses leave: segmentations, reports, pictures.")
    mlflow: str = Field(default="mlflow", description="MLflow's artifacts.")


class Storage(Section):
    kind: Literal["local", "s3"] = Field(default="local", description="A folder on this machine, or S3 (or what speaks its protocol).")
    path: Path | None = Field(default=None, description="Folder of the local store; by default 'objects' in the data folder.")
    endpoint_url: str | None = Field(default=None, description="Address of an S3-compatible server; by default AWS.")
    region: str = Field(default="eu-central-1", description="AWS region of the buckets.")
    bucket_prefix: str = Field(default="", description="Put before every bucket's name in S3, where names are global.")
    environment: str = Field(default="", description="Put after every bucket's name in S3, with a hyphen: dev, prod.")
    kms_keys: dict[str, str] = Field(
        default_factory=dict,
        description="KMS key (ARN) that objects of a bucket are encrypted with, by the bucket's name without prefix, as JSON; "
        "the others have the encryption that is set on the bucket.",
    )
    attempts: int = Field(default=5, ge=1, description="How often a call to S3 is tried that is throttled or fails on the server's side.")
    timeout_seconds: float = Field(default=60.0, gt=0, description="Longest silence of S3 within a call, in seconds.")
    buckets: Buckets = Field(default_factory=Buckets, description="The buckets' names, by purpose.")

    def s3_bucket(self, name: str) -> str:
        """The full name in S3 of the bucket called ``name``."""
        return f"{self.bucket_prefix}{name}" + (f"-{self.environment}" if self.environment else "")


class Mlflow(Section):
    start: bool = Field(default=True, description="Whether `workbench up` starts MLflow's server.")
    tracking_uri: str | None = Field(default=None, description="Another MLflow server; by default SQLite in the data folder.")
    poll_seconds: float = Field(default=5.0, ge=0, description="How often the alias champion is looked at; 0 is never.")
    promotion: Literal["free", "evaluated"] = Field(
        default="free", description="What a version needs to be champion: nothing more than to load, or an evaluation that passed."
    )


class Ray(Section):
    address: str | None = Field(default=None, description="A Ray cluster to use; by default one is started on this machine.")
    num_cpus: float | None = Field(default=None, gt=0, description="Processors Ray may hand out; by default the machine's.")
    object_store_mb: int = Field(default=1024, ge=128, description="Shared memory for volumes on their way between replicas, in MB.")


class Processor(Section):
    """What one deployment may use. Ray's default of a whole CPU each would start two replicas of five on two cores."""

    num_cpus: float = Field(default=0.1, ge=0, description="CPUs that Ray reserves for a replica (fractions are fine).")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs that Ray reserves for a replica.")
    threads: int = Field(default=0, ge=0, description="Threads the model computes with; 0 means the machine's processors.")
    replicas: int = Field(default=1, ge=0, description="Replicas.")
    max_ongoing_requests: int = Field(default=16, ge=1, description="Requests a replica works on at once; others wait.")


DEFAULT_PROCESSORS = {
    "segmentation": Processor(max_ongoing_requests=4),
    "embedding": Processor(max_ongoing_requests=64),
    "llm": Processor(max_ongoing_requests=64),
    "vlm": Processor(max_ongoing_requests=4),
    "entailment": Processor(max_ongoing_requests=64),
    "imaging": Processor(max_ongoing_requests=4),
    "ingestion": Processor(max_ongoing_requests=4),
    "compliance": Processor(max_ongoing_requests=4),
    "index": Processor(max_ongoing_requests=128),
    "runner": Processor(max_ongoing_requests=256),
}

Device = Literal["cpu", "cuda"]


class Model(Section):
    """Which backend fulfils a role, and where."""

    backend: str = Field(description="Name of the backend, for example openvino, torch, genai; none switches the role off.")
    device: Device = Field(default="cpu", description="Where it computes. cuda that is not there is an error, never a silent CPU.")
    source: str | None = Field(default=None, description="What the backend loads when it is not the embedded weights: a file or a folder.")
    max_versions: int = Field(default=2, ge=1, description="Versions a replica keeps loaded: the champion and the last used.")


DEFAULT_MODELS = {
    "segmentation": Model(backend="openvino"),
    "vlm": Model(backend="none"),
    "llm": Model(backend="genai"),
    "embedding": Model(backend="openvino"),
    "entailment": Model(backend="openvino"),
}


GB_A_JOB = 1.5  # a whole head at 1 mm, read, segmented and drawn, with what the libraries keep


class Jobs(Section):
    concurrency: int = Field(
        default=0, ge=0, description="Jobs that run at once; others wait. 0 is what the machine holds: one a processor, each with 1.5 GB."
    )
    attempts: int = Field(default=3, ge=1, description="How often a stage is tried when its error is retryable.")
    backoff_seconds: float = Field(default=1.0, ge=0, description="Wait before the second try; it doubles with each further one.")
    stage_timeout_seconds: float = Field(default=600.0, gt=0, description="A stage that takes longer has failed (retryable).")

    @property
    def at_once(self) -> int:
        """``concurrency``, or where it is 0 one job a processor and one for each :data:`GB_A_JOB` of memory. Two at least, so that
        one scan is read or written while another is segmented."""
        if self.concurrency:
            return self.concurrency
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        return max(2, min(len(os.sched_getaffinity(0)), int(memory_gb / GB_A_JOB)))


class Imaging(Section):
    max_voxels: int = Field(default=256_000_000, gt=0, description="Largest scan read, in voxels; a header claiming more is refused.")
    max_unpacked_mb: int = Field(default=4096, gt=0, description="Largest total size of a zip's members, unpacked, in MB.")
    max_files: int = Field(default=5000, gt=0, description="Most files in a zip of a DICOM series.")
    reader_memory_mb: int = Field(default=2048, ge=256, description="Memory of the process that reads a scan sent to /models/segmentation.")
    reader_seconds: float = Field(default=120.0, gt=0, description="How long that process may take.")
    keep_originals_minutes: int = Field(
        default=0, ge=0, description="How long a DICOM upload stays after it was read, so that another series of it can be analysed."
    )
    lesion_least_voxels: int = Field(default=3, ge=1, description="Smaller marks, in voxels, are not counted as lesions.")
    lesion_least_mm3: float = Field(default=10.0, ge=0, description="Smaller marks, in cubic millimetres, are not counted as lesions.")
    keep_dicom_uids: bool = Field(
        default=True, description="Whether a DICOM SEG refers to its series by its true UIDs; else by ones that lead nowhere."
    )


class Knowledge(Section):
    opensearch_url: str | None = Field(
        default=None, description="An OpenSearch server that holds the indexes; by default FAISS and Tantivy in the data folder."
    )
    opensearch_engine: Literal["lucene", "faiss"] = Field(default="lucene", description="The k-NN engine used there.")
    half_precision: bool = Field(default=True, description="Keep vectors in half precision: half the memory, and faster to search.")
    open_collections: int = Field(default=8, ge=1, description="Collections kept open; of more, the least recently used is closed.")
    readers: int = Field(default=2, ge=1, description="Documents of one job that are read at once, each in a process of its own.")
    ocr: bool = Field(default=True, description="Whether scanned pages are recognised (2 to 5 s a page on two cores).")


class Telemetry(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe log line written.")


class Settings(BaseSettings):
    """The whole tree. Made by :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="WORKBENCH_", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    profile: str = Field(default="local", description="Name of the profile: local, gpu or aws, or a path to a TOML file.")
    home: Path = Field(default=Path(".workbench"), description="Data folder: everything the program writes lives under it.")
    gateway: Gateway = Field(default_factory=Gateway, description="The web address.")
    database: Database = Field(default_factory=Database, description="Tables and durable jobs.")
    storage: Storage = Field(default_factory=Storage, description="Objects: uploads, reports, weights.")
    mlflow: Mlflow = Field(default_factory=Mlflow, description="Model versions and traces.")
    ray: Ray = Field(default_factory=Ray, description="Where models run.")
    processors: dict[str, Processor] = Field(
        default_factory=dict, description="Processors and threads, by deployment; what is not named has the default."
    )
    models: dict[str, Model] = Field(
        default_factory=dict, description="Backend and device, by role; what is not named has the embedded default."
    )
    jobs: Jobs = Field(default_factory=Jobs, description="Durable jobs.")
    imaging: Imaging = Field(default_factory=Imaging, description="Limits on scans.")
    knowledge: Knowledge = Field(default_factory=Knowledge, description="Reading documents, and the indexes they are found in.")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="Logs and metrics.")

    @field_validator("processors", mode="before")
    @classmethod
    def _renamed_deployments(cls, processors: Any) -> Any:
        """Settings written before the deployment ``librarian`` was renamed to ``index`` go on to count."""
        if isinstance(processors, dict) and "librarian" in processors:
            processors = {"index" if name == "librarian" else name: row for name, row in processors.items()}
        return processors

    @field_validator("models")
    @classmethod
    def _backends_exist(cls, models: dict[str, Model]) -> dict[str, Model]:
        for role, model in models.items():
            if model.backend != "none":
                try:
                    find_backend(role, model.backend)
                except ConfigurationError as error:
                    raise ValueError(error.message) from error
        return models

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        name = init_settings().get("profile") or os.environ.get("WORKBENCH_PROFILE") or "local"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, profile_file(str(name)))

    def processor(self, deployment: str) -> Processor:
        """The row of the table of processors for ``deployment``."""
        return self.processors.get(deployment) or DEFAULT_PROCESSORS.get(deployment) or Processor()

    def model(self, role: str) -> Model:
        """The backend and device for ``role``."""
        return self.models.get(role) or DEFAULT_MODELS.get(role) or Model(backend="none")

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.home.resolve() / 'workbench.sqlite'}"

    @property
    def jobs_url(self) -> str:
        return self.database.jobs_url or f"sqlite:///{self.home.resolve() / 'jobs.sqlite'}"

    @property
    def mlflow_uri(self) -> str:
        return self.mlflow.tracking_uri or f"sqlite:///{self.home.resolve() / 'mlflow.sqlite'}"

    @property
    def mlflow_artifacts_path(self) -> Path:
        """Where the workbench's own MLflow keeps artifacts."""
        return self.objects_path / self.storage.buckets.mlflow

    @property
    def objects_path(self) -> Path:
        return (self.storage.path or self.home / "objects").resolve()

    @property
    def url(self) -> str:
        """The address people use."""
        everywhere = ("0.0.0.0", "::")  # noqa: S104 # nosec B104  # compared with, not bound to
        host = "127.0.0.1" if self.gateway.host in everywhere else self.gateway.host
        return self.gateway.public_url or f"http://{host}:{self.gateway.port}"


def profile_file(name: str) -> Path:
    """The TOML file of a profile.

    Raises:
        ConfigurationError: there is no such profile.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.toml")))
        raise ConfigurationError(f"There is no profile '{name}'. Known profiles: {known}; or name a .toml file.")
    return path


def load_settings(**flags: Any) -> Settings:
    """Settings from flags (nested dictionaries), the environment and the profile.

    Raises:
        ConfigurationError: an unknown name or a bad value; the message names it and where it came from.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**{key: value for key, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = []
        for item in error.errors():
            where = ".".join(str(part) for part in item["loc"])
            hint = _nearest(where, known_fields()) if item["type"] == "extra_forbidden" else ""
            lines.append(f"{where}: {item['msg']}{hint}")
        raise ConfigurationError("The settings are not valid. " + "; ".join(lines)) from error


def known_fields() -> dict[str, str]:
    """Every field of the tree as ``a.b.c``, with its description."""
    found: dict[str, str] = {}

    def walk(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            found[prefix + name] = field.description or ""
            annotation = field.annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                walk(annotation, f"{prefix}{name}.")
        return None

    walk(Settings, "")
    return found


def _refuse_unknown_variables() -> None:
    known = {"WORKBENCH_" + name.upper().replace(".", "__") for name in known_fields()} | CLIENT_VARIABLES
    open_ended = ("WORKBENCH_PROCESSORS__", "WORKBENCH_MODELS__")
    for name in os.environ:
        if name.startswith("WORKBENCH_") and name not in known and not name.startswith(open_ended):
            raise ConfigurationError(f"The environment variable {name} is not known.{_nearest(name, known)}")


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
