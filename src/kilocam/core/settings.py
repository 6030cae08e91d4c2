"""Settings: defaults, then the TOML file, then `KILOCAM_SECTION__KEY` (contract: Configuration)."""

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kilocam.core.errors import ConfigError
from kilocam.core.ids import check_id
from kilocam.core.times import parse_duration, parse_size


def _checked(kind: str) -> BeforeValidator:
    def check(value: object) -> object:
        try:
            return check_id(kind, value) if isinstance(value, str) else value
        except ConfigError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(check)


def _from_text(parse: Callable[[str], int]) -> BeforeValidator:
    def check(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError("write it as text in quotes, with a unit")  # noqa: TRY004 - pydantic
        try:
            return parse(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(check)


DurationUs = Annotated[
    int,
    _from_text(parse_duration),
    PlainSerializer(lambda us: f"{us // 1000}ms", when_used="json"),
    Field(gt=0),
]
SizeBytes = Annotated[
    int,
    _from_text(parse_size),
    PlainSerializer(lambda size: f"{size}B", when_used="json"),
    Field(gt=0),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Section):
    """The gateway's address."""

    listen: str = "127.0.0.1:8000"


class StorageSettings(_Section):
    """Where footage is kept, how long, how much."""

    path: str | list[str] = ""
    keep: DurationUs = parse_duration("7d")
    max_size: SizeBytes = parse_size("500GB")


class BusSettings(_Section):
    """The queue; an empty URL means the embedded NATS server."""

    url: str = ""


class DatabaseSettings(_Section):
    """The database; an empty URL means the embedded Postgres."""

    url: str = ""


def _model(value: object) -> object:
    if isinstance(value, str) and value and not _MODEL.fullmatch(value):
        raise ValueError(f"model {value!r} is not valid: write NAME or NAME@VERSION")
    return value


_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(@[A-Za-z0-9._+-]+)?")
ModelReference = Annotated[str, BeforeValidator(_model)]


def _within_a_year(us: int) -> int:
    if us > _YEAR_US:
        raise ValueError("write 365d at most: a longer trial would never end")
    return us


_YEAR_US = parse_duration("365d")
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 10.0
Weight = Annotated[float, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]


class AnalysisSettings(_Section):
    """Which models look; each is `NAME` or `NAME@VERSION` of the models directory."""

    detector: Annotated[ModelReference, Field(min_length=1)] = "ssdlite-mobilenet-v2-int8"
    canary: ModelReference = ""
    """The one on trial beside it; empty: none."""
    canary_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Of the cameras."""
    canary_least: Annotated[DurationUs, AfterValidator(_within_a_year)] = parse_duration("1d")
    """A trial lasts so long before it may promote: nights are not like days."""
    likeness: ModelReference = "likeness-mobilenet-v2"
    """Tells how alike objects look; empty: nobody does."""
    tenant_weight: dict[Annotated[str, _checked("tenant")], Weight] = {}
    """Of all cameras of a tenant, times that of the camera."""


def _base_url(value: object) -> object:
    if isinstance(value, str) and value:
        try:
            parts = urlsplit(value)
            plain = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
        except ValueError:
            raise ValueError(_BAD_BASE_URL) from None
        if parts.scheme not in ("http", "https") or not plain or parts.query or parts.fragment:
            raise ValueError(_BAD_BASE_URL)
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError(_BAD_BASE_URL)
        if "@" in parts.netloc:
            raise ValueError("it holds a login: put the key into llm.api_key")
    return value


def _key(value: object) -> object:
    if isinstance(value, str) and not (
        value.isascii() and value.isprintable() and " " not in value
    ):
        raise ValueError("it holds spaces or signs that no key has")
    return value


def _name_of_model(value: object) -> object:
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("it holds signs that no model's name has")
    return value


_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?|[0-9a-f]*:[0-9a-f:.]+")
_BAD_BASE_URL = "write it as https://host/v1, up to and without /chat/completions"


class LlmSettings(_Section):
    """A language model that describes pictures and answers questions; empty `base_url`: none."""

    base_url: Annotated[str, BeforeValidator(_base_url)] = ""
    model: Annotated[str, BeforeValidator(_name_of_model)] = ""
    api_key: Annotated[str, BeforeValidator(_key), Field(repr=False)] = ""
    descriptions_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    """What a tenant may have described on a UTC day; 0: nothing."""
    tokens_per_question: Annotated[int, Field(ge=0, le=1_000_000)] = 30_000
    """What one question to `ask` may come to, both ways; 0: the model is asked none."""

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.base_url and not self.model:
            raise ValueError(
                "base_url is set and model is not: name the model that is served there"
            )
        return self

    @property
    def describes(self) -> bool:
        """Whether new events are described."""
        return bool(self.base_url) and self.descriptions_per_day > 0

    @property
    def answers(self) -> bool:
        """Whether questions are put to it."""
        return bool(self.base_url) and self.tokens_per_question > 0


class SecuritySettings(_Section):
    """Keys outside the data directory; empty: inside it, mode 600."""

    key_file: str = ""


class CameraSettings(_Section):
    """One camera as declared by the operator."""

    id: Annotated[str, _checked("camera")]
    url: str
    detect_url: str = ""
    transport: Literal["tcp"] = "tcp"
    tenant: Annotated[str, _checked("tenant")] = "default"
    keep: DurationUs | None = None
    weight: Weight = 1.0
    """Where time is short it is as overdue as others not looked at for so many times longer."""


_KEYS_OF_STREAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "kafka": (("url",), ("user", "secret")),
    "webhook": (("url", "secret"), ()),
    "mqtt": (("url",), ("user", "secret")),
    "parquet": (("path",), ("every",)),
}
"""What a stream of each kind needs, and may have."""


class StreamSettings(_Section):
    """What was seen of one tenant, handed on to a receiver outside; `streams` reads the address."""

    name: Annotated[str, _checked("stream")]
    kind: Literal["kafka", "webhook", "mqtt", "parquet"]
    url: str = ""
    path: str = ""
    """Of Parquet files."""
    tenant: Annotated[str, _checked("tenant")] = "default"
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Classes or groups (`vehicle`); none: all."""
    user: str = ""
    secret: Annotated[str, Field(repr=False)] = ""
    """The user's password; of a webhook what signs."""
    since: Literal["", "all", "now"] = ""
    """Where a stream begins that has no place yet."""
    every: DurationUs | None = None
    """Of Parquet: how often a file is written."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed, known = _KEYS_OF_STREAMS[self.kind]
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f"{key} is missing; a stream of kind {self.kind!r} needs it")
        for key in ("url", "path", "user", "secret", "every"):
            if getattr(self, key) and key not in (*needed, *known):
                raise ValueError(f"{key} does not belong to kind {self.kind!r}; leave it out")
        if "user" in known and bool(self.user) != bool(self.secret):
            raise ValueError("user and secret belong together: write both or neither")
        return self

    @property
    def begins(self) -> Literal["all", "now"]:
        """Where it begins: a copy with all there is, who acts on what happens with what is new."""
        return self.since or ("all" if self.kind in ("kafka", "parquet") else "now")


class Settings(BaseSettings):
    """All settings of one process tree."""

    model_config = SettingsConfigDict(
        env_prefix="KILOCAM_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    bus: BusSettings = BusSettings()
    database: DatabaseSettings = DatabaseSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    llm: LlmSettings = LlmSettings()
    security: SecuritySettings = SecuritySettings()
    camera: list[CameraSettings] = []
    stream: list[StreamSettings] = []

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (which arrives as init arguments)."""
        return (env_settings, init_settings)


def load_settings(file: Path | None = None) -> Settings:
    """Settings from `file` (TOML) and the environment.

    Raises:
        ConfigError: the file cannot be read or parsed, or a key or value is wrong; one line.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text())
        except OSError as error:
            raise ConfigError(
                f"configuration {file}: {error.strerror}; check the path and its permissions"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"configuration {file} is not valid TOML: {error}") from None
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(file, error)) from None
    _check_unique(file, settings)
    return settings


def _check_unique(file: Path | None, settings: Settings) -> None:
    seen: set[tuple[str, str]] = set()
    for camera in settings.camera:
        if (camera.tenant, camera.id) in seen:
            raise ConfigError(
                f"configuration {file}: camera {camera.id!r} of tenant {camera.tenant!r} "
                "stands there twice; rename or remove one"
            )
        seen.add((camera.tenant, camera.id))
    names = [stream.name for stream in settings.stream]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(
            f"configuration {file}: stream {twice!r} stands there twice; rename or remove one"
        )


def _explain(file: Path | None, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    source = f"configuration {file}" if file else "configuration"
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        known = _keys_at(parents)
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"known keys here: {', '.join(sorted(known))}"
        )
        return f"{source}: unknown key {where!r}; {hint}"
    if first["type"] == "missing":
        entry = next((part for part in first["loc"] if isinstance(part, int)), None)
        place = f" to [[{first['loc'][0]}]] number {entry + 1}" if entry is not None else ""
        return f"{source}: {where} is missing; add it{place}"
    if first["type"] in ("string_too_short", "too_short"):
        return f"{source}: {where} is empty: write something, or leave the key out"
    message = first["msg"].removeprefix("Value error, ")
    return f"{source}: {where}: {message[:1].lower() + message[1:]}"


def _keys_at(path: list[int | str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        for candidate in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)
