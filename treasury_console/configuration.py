"""Configuration: one TOML file with profiles, the environment above it, flags above that; every value knows its source.

Precedence, highest first: flag, environment variable, the profile in the file, the built-in default. Without a file the
treasury is embedded: SQLite files in the user's data directory. Secrets are masked wherever a URL is shown.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from treasury_console.domain.approvals import DEFAULT_INCIDENT_PATTERN, IncidentPattern
from treasury_console.domain.durations import parse_duration
from treasury_console.domain.errors import ConfigurationError, InvalidRequest
from treasury_console.domain.money import Currencies, Currency
from treasury_console.domain.text import safe_text

DEFAULT_PROFILE = "default"
BUILT_IN = "built-in default"
SQLITE_SCHEME = "sqlite:///"
_SYNCHRONOUS = ("FULL", "NORMAL", "OFF")
_PROTOCOLS = ("holds",)
_T = TypeVar("_T")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_PLAIN_PATH = re.compile(r"[\w./~-]*")
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&](?!(?:user|host|port|dbname|sslmode|application_name|connect_timeout|target_session_attrs)=)[^=&]*=)[^&]*"
)


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """Where a shard is and how branches are stored on it."""

    name: str
    url: str
    protocol: str = "holds"


@dataclass(frozen=True)
class Settings:
    """Everything that can be configured, in force; `sources` says where each value came from."""

    profile: str
    treasury_url: str
    shards: tuple[ShardSettings, ...]
    currencies: Currencies = field(default_factory=Currencies)
    incidents: IncidentPattern = field(default_factory=IncidentPattern)
    pending_after: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(seconds=15)
    busy_timeout: timedelta = timedelta(seconds=5)
    synchronous: str = "FULL"
    read_only: bool = False
    banner: str = ""
    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None


def load_settings(
    *,
    file: Path | None = None,
    profile: str | None = None,
    database_url: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force. Raise ConfigurationError, in one sentence, for anything that cannot be used."""
    try:
        return _loaded(file, profile, database_url, environment)
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"the configuration cannot be used ({type(error).__name__}): a path or value in it is malformed"
        ) from error


def _loaded(
    file: Path | None, profile: str | None, database_url: str | None, environment: Mapping[str, str] | None
) -> Settings:
    environment = os.environ if environment is None else environment
    path, document = _read_file(file, environment)
    name, name_source = _profile_name(profile, environment, document)
    table = _profile_table(document, name, name_source, path)
    where = f"profile {safe_text(name, 40)} in {_shown(path)}" if path else BUILT_IN
    loader = _Loader(table, where, {"profile": name_source})
    url, loader.sources["treasury"] = _treasury_url(database_url, environment, loader, path)
    settings = Settings(
        profile=name,
        treasury_url=url,
        shards=_shards(loader, url, path),
        currencies=_currencies(loader),
        incidents=loader.take("incident_pattern", _incident_pattern, IncidentPattern(DEFAULT_INCIDENT_PATTERN)),
        pending_after=loader.take("pending_after", _duration, timedelta(minutes=5)),
        lease=loader.take("lease", _positive_duration, timedelta(seconds=15)),
        busy_timeout=loader.take("busy_timeout", _duration, timedelta(seconds=5)),
        synchronous=loader.take("synchronous", _one_of(_SYNCHRONOUS), "FULL"),
        read_only=loader.take("read_only", _boolean, default=False),
        banner=loader.take("banner", _text, ""),
        theme=loader.take("theme", _text, ""),
        keys=loader.take("keys", _text_table, {}),
        sources=loader.sources,
        file=path,
    )
    loader.refuse_leftovers()
    return settings


def mask_url(url: str) -> str:
    """Return `url` without its password and without query values that look like one.

    What is no URL is shown only if it is a plain path; anything else in it may be a secret.
    """
    match = _URL.fullmatch(url)
    if match is None:
        return url if _PLAIN_PATH.fullmatch(url) else "***"
    if match["scheme"] == "sqlite" and url.startswith(SQLITE_SCHEME):
        return url
    credentials, at, place = match["rest"].rpartition("@")
    user, colon, _password = credentials.partition(":")
    masked = f"{match['scheme']}://{user}{':***' if colon else ''}{at}{place}"
    return _SECRET_PARAMETER.sub(r"\1***", masked)


@dataclass
class _Loader:
    """Takes values out of a profile's table and notes where each came from."""

    table: dict[str, Any]
    where: str
    sources: dict[str, str]

    def take(self, key: str, convert: Callable[[Any], _T], default: _T) -> _T:
        """Return the converted value of `key`, or `default` when the profile does not set it."""
        if key not in self.table:
            self.sources[key] = BUILT_IN
            return default
        self.sources[key] = self.where
        try:
            return convert(self.table.pop(key))
        except InvalidRequest as error:
            raise ConfigurationError(f"setting {key!r} in {self.where} is wrong: {error}") from None

    def refuse_leftovers(self) -> None:
        """Raise ConfigurationError if the profile sets anything that was not taken: a typo must not pass in silence."""
        if self.table:
            unknown = safe_text(next(iter(self.table)), 40)
            known = ", ".join(sorted(set(self.sources) - {"profile"}))
            raise ConfigurationError(f"setting {unknown!r} in {self.where} is not known; known are {known}")


def _read_file(file: Path | None, environment: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    """Return the configuration file and its content; (None, {}) when none was named and the default is absent."""
    named = file or (Path(environment["TREASURY_CONFIG"]) if environment.get("TREASURY_CONFIG") else None)
    path = named or _default_file()
    try:
        return path.absolute(), tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is not None:
            raise ConfigurationError(f"there is no configuration file {safe_text(str(named), 120)}") from None
        return None, {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the configuration file {safe_text(str(path), 120)} cannot be read: {type(error).__name__}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"the configuration file {safe_text(str(path), 120)} is not TOML: {safe_text(str(error), 120)}"
        ) from None


def _default_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("treasury-console") / "treasury.toml"


def _profile_name(profile: str | None, environment: Mapping[str, str], document: Mapping[str, Any]) -> tuple[str, str]:
    if profile:
        return profile, "--profile"
    if environment.get("TREASURY_PROFILE"):
        return environment["TREASURY_PROFILE"], "TREASURY_PROFILE"
    chosen = document.get("default_profile")
    if chosen is not None:
        if not isinstance(chosen, str):
            raise ConfigurationError(
                "default_profile in the configuration file must be the name of a profile in quotes"
            )
        return chosen, "default_profile in the file"
    return DEFAULT_PROFILE, BUILT_IN


def _profile_table(document: Mapping[str, Any], name: str, source: str, path: Path | None) -> dict[str, Any]:
    profiles = document.get("profiles", {})
    unknown = sorted(set(document) - {"default_profile", "profiles"})
    if unknown:
        raise ConfigurationError(
            f"{safe_text(unknown[0], 40)!r} in {_shown(path)} is not known; settings go under [profiles.NAME]"
        )
    if not isinstance(profiles, dict):
        raise ConfigurationError(f"'profiles' in {_shown(path)} must be a table")
    if name in profiles:
        if not isinstance(profiles[name], dict):
            raise ConfigurationError(f"profile {safe_text(name, 40)!r} in {_shown(path)} must be a table")
        return dict(profiles[name])
    if source == BUILT_IN and not profiles:
        return {}
    known = ", ".join(safe_text(known, 40) for known in sorted(profiles)) or "none"
    raise ConfigurationError(f"there is no profile {safe_text(name, 40)!r} (from {source}); the file has {known}")


def _treasury_url(
    flag: str | None, environment: Mapping[str, str], loader: _Loader, path: Path | None
) -> tuple[str, str]:
    configured = loader.take("treasury", _text, "")
    if flag:
        return _resolved(flag, Path.cwd()), "--database"
    if environment.get("TREASURY_DATABASE_URL"):
        return _resolved(environment["TREASURY_DATABASE_URL"], Path.cwd()), "TREASURY_DATABASE_URL"
    if configured:
        return _resolved(configured, path.parent if path else Path.cwd()), loader.sources["treasury"]
    from platformdirs import user_data_path

    return f"{SQLITE_SCHEME}{user_data_path('treasury-console') / 'treasury.sqlite'}", BUILT_IN


def _shards(loader: _Loader, treasury_url: str, path: Path | None) -> tuple[ShardSettings, ...]:
    """Return the configured shards, or two SQLite files beside an embedded treasury."""
    none: tuple[ShardSettings, ...] = ()
    shards = loader.take("shards", _shard_list, none)
    if not shards:
        if not treasury_url.startswith(SQLITE_SCHEME):
            raise ConfigurationError(
                "a treasury on a server needs its shards: add [[profiles.NAME.shards]] with name and url"
            )
        home = Path(treasury_url.removeprefix(SQLITE_SCHEME)).parent
        return tuple(ShardSettings(name, f"{SQLITE_SCHEME}{home / name}.sqlite") for name in ("shard-1", "shard-2"))
    base = path.parent if path else Path.cwd()
    resolved = tuple(ShardSettings(shard.name, _resolved(shard.url, base), shard.protocol) for shard in shards)
    files = [Path(url.removeprefix(SQLITE_SCHEME)).resolve() for url in (treasury_url, *(s.url for s in resolved))]
    if len(set(files)) != len(files):
        raise ConfigurationError(
            f"shards in {loader.where} share a file; each and the treasury needs a name and a url of its own"
        )
    return resolved


def _shown(path: Path | None) -> str:
    return safe_text(str(path), 120)


def _resolved(url: str, base: Path) -> str:
    """Return `url` with a relative SQLite path made absolute below `base`; refuse what is not a database URL."""
    if not url.startswith(SQLITE_SCHEME) or len(url) == len(SQLITE_SCHEME):
        raise ConfigurationError(
            f"{safe_text(mask_url(url), 80)!r} is not a database URL this version can use; "
            "write sqlite:////path/to/file.sqlite"
        )
    return f"{SQLITE_SCHEME}{base / Path(url.removeprefix(SQLITE_SCHEME)).expanduser()}"


def _currencies(loader: _Loader) -> Currencies:
    def convert(value: Any) -> Currencies:
        if not isinstance(value, dict) or not all(type(scale) is int for scale in value.values()):
            raise InvalidRequest("currencies must be a table of CODE = scale")
        return Currencies.with_extra(Currency(code, scale) for code, scale in value.items())

    return loader.take("currencies", convert, Currencies())


def _shard_list(value: Any) -> tuple[ShardSettings, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(shard, dict) for shard in value):
        raise InvalidRequest("shards must be tables, each with name and url")
    shards = tuple(_shard(shard) for shard in value)
    if len({shard.name for shard in shards}) != len(shards):
        raise InvalidRequest("every shard needs a name and a url of its own")
    return shards


def _shard(table: Mapping[str, Any]) -> ShardSettings:
    unknown = sorted(set(table) - {"name", "url", "protocol"})
    if unknown:
        raise InvalidRequest(f"a shard has no setting {safe_text(unknown[0], 40)!r}; it has name, url and protocol")
    name, url = _text(table.get("name", "")), _text(table.get("url", ""))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise InvalidRequest("a shard's name has 1 to 64 letters, digits, dots, dashes or underscores")
    if not url:
        raise InvalidRequest(f"shard {name} needs a url")
    return ShardSettings(name, url, _one_of(_PROTOCOLS)(table.get("protocol", "holds")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest("it must be text in quotes")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest("it must be true or false")
    return value


def _duration(value: Any) -> timedelta:
    return parse_duration(_text(value))


def _positive_duration(value: Any) -> timedelta:
    duration = _duration(value)
    if duration <= timedelta(0):
        raise InvalidRequest("it must be longer than zero")
    return duration


def _incident_pattern(value: Any) -> IncidentPattern:
    return IncidentPattern(_text(value))


def _text_table(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidRequest("it must be a table")
    return {key: _text(entry) for key, entry in value.items()}


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if value not in choices:
            raise InvalidRequest(f"it must be one of {', '.join(choices)}")
        return str(value)

    return convert
