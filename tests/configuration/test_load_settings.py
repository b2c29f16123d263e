"""Every setting in force has one source, the strongest; whatever is wrong is refused in a sentence that names it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from treasury_console.configuration import BUILT_IN, Settings, ShardSettings, load_settings
from treasury_console.domain.approvals import DEFAULT_INCIDENT_PATTERN
from treasury_console.domain.errors import ConfigurationError, ExitStatus
from treasury_console.domain.money import Currency

SECRET = "hunter2"
EVERYTHING = """
default_profile = "production"

[profiles.production]
treasury = "sqlite:///data/treasury.sqlite"
incident_pattern = "OPS-[0-9]+"
pending_after = "10m"
lease = "30s"
busy_timeout = "2s"
synchronous = "NORMAL"
read_only = true
banner = "PRODUCTION"
theme = "dark"

[profiles.production.currencies]
EURC = 6

[profiles.production.keys]
reconcile = "R"

[[profiles.production.shards]]
name = "east"
url = "sqlite:///data/east.sqlite"

[[profiles.production.shards]]
name = "west"
url = "sqlite:////elsewhere/west.sqlite"
protocol = "holds"

[profiles.staging]
treasury = "sqlite:////staging/treasury.sqlite"
"""

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        file = tmp_path / "treasury.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


def load(**given: Any) -> Settings:
    return load_settings(**({"environment": {}} | given))


def refusal(**given: Any) -> str:
    """Return the one sentence with which the configuration is refused."""
    with pytest.raises(ConfigurationError) as refused:
        load(**given)
    message = str(refused.value)
    assert message.isprintable()
    assert refused.value.exit_status is ExitStatus.USAGE
    return message


def test_without_a_file_the_treasury_is_embedded_in_the_users_data(tmp_path: Path) -> None:
    settings = load()
    home = tmp_path / "data" / "treasury-console"
    assert settings.treasury_url == f"sqlite:///{home / 'treasury.sqlite'}"
    assert settings.shards == (
        ShardSettings("shard-1", f"sqlite:///{home / 'shard-1'}.sqlite"),
        ShardSettings("shard-2", f"sqlite:///{home / 'shard-2'}.sqlite"),
    )
    assert (settings.profile, settings.file) == ("default", None)
    assert set(settings.sources.values()) == {BUILT_IN}


def test_the_built_in_defaults_are_those_of_the_runbook() -> None:
    settings = load()
    assert settings.pending_after == timedelta(minutes=5)
    assert settings.incidents.pattern == DEFAULT_INCIDENT_PATTERN
    assert settings.incidents.matches("INC-12345")
    assert (settings.synchronous, settings.read_only, settings.lease) == ("FULL", False, timedelta(seconds=15))


def test_everything_that_can_be_set_is_taken_from_the_file(write: Write, tmp_path: Path) -> None:
    settings = load(file=write(EVERYTHING))
    assert settings == Settings(
        profile="production",
        treasury_url=f"sqlite:///{tmp_path}/data/treasury.sqlite",
        shards=(
            ShardSettings("east", f"sqlite:///{tmp_path}/data/east.sqlite"),
            ShardSettings("west", "sqlite:////elsewhere/west.sqlite"),
        ),
        currencies=settings.currencies,
        incidents=settings.incidents,
        pending_after=timedelta(minutes=10),
        lease=timedelta(seconds=30),
        busy_timeout=timedelta(seconds=2),
        synchronous="NORMAL",
        read_only=True,
        banner="PRODUCTION",
        theme="dark",
        keys={"reconcile": "R"},
        sources=settings.sources,
        file=tmp_path / "treasury.toml",
    )
    assert settings.currencies["EURC"] == Currency("EURC", 6)
    assert settings.currencies["USD"] == Currency("USD", 2)
    assert settings.incidents.matches("OPS-7")


def test_every_setting_of_the_file_names_the_profile_and_file_as_its_source(write: Write, tmp_path: Path) -> None:
    sources = dict(load(file=write(EVERYTHING)).sources)
    assert sources.pop("profile") == "default_profile in the file"
    assert set(sources.values()) == {f"profile production in {tmp_path / 'treasury.toml'}"}
    assert set(sources) == {
        "treasury",
        "shards",
        "currencies",
        "incident_pattern",
        "pending_after",
        "lease",
        "busy_timeout",
        "synchronous",
        "read_only",
        "banner",
        "theme",
        "keys",
    }


def test_every_field_of_the_settings_has_a_source() -> None:
    names = {"treasury": "treasury_url", "incident_pattern": "incidents"}
    fields = {field.name for field in dataclasses.fields(Settings)} - {"sources", "file"}
    assert {names.get(source, source) for source in load().sources} == fields


def test_a_setting_that_the_profile_leaves_out_keeps_its_default(write: Write) -> None:
    settings = load(file=write(EVERYTHING), profile="staging")
    assert (settings.pending_after, settings.sources["pending_after"]) == (timedelta(minutes=5), BUILT_IN)
    assert settings.treasury_url == "sqlite:////staging/treasury.sqlite"


def test_the_flag_beats_the_environment_beats_the_file_beats_the_default(write: Write, tmp_path: Path) -> None:
    file = write(EVERYTHING)
    flag, variable = "sqlite:////flag/t.sqlite", "sqlite:////variable/t.sqlite"
    environment = {"TREASURY_DATABASE_URL": variable}
    both = load(file=file, database_url=flag, environment=environment)
    assert (both.treasury_url, both.sources["treasury"]) == (flag, "--database")
    one = load(file=file, environment=environment)
    assert (one.treasury_url, one.sources["treasury"]) == (variable, "TREASURY_DATABASE_URL")
    none = load(file=file)
    assert none.treasury_url == f"sqlite:///{tmp_path}/data/treasury.sqlite"
    assert none.sources["treasury"] == f"profile production in {file}"


def test_the_profile_is_the_flags_then_the_environments_then_the_files_then_default(write: Write) -> None:
    text = EVERYTHING + '\n[profiles.default]\nbanner = "plain"\n'
    file = write(text)
    environment = {"TREASURY_PROFILE": "staging"}
    chosen = [
        load(file=file, profile="default", environment=environment),
        load(file=file, environment=environment),
        load(file=file),
        load(file=write(text.replace('default_profile = "production"', ""))),
    ]
    assert [(settings.profile, settings.sources["profile"]) for settings in chosen] == [
        ("default", "--profile"),
        ("staging", "TREASURY_PROFILE"),
        ("production", "default_profile in the file"),
        ("default", BUILT_IN),
    ]


def test_the_file_is_the_flags_then_the_environments_then_the_users(write: Write, tmp_path: Path) -> None:
    named = write('[profiles.default]\nbanner = "named"\n')
    other = tmp_path / "other.toml"
    other.write_text('[profiles.default]\nbanner = "variable"\n')
    users = tmp_path / "config" / "treasury-console" / "treasury.toml"
    users.parent.mkdir(parents=True)
    users.write_text('[profiles.default]\nbanner = "users"\n')
    environment = {"TREASURY_CONFIG": str(other)}
    loaded = [load(file=named, environment=environment), load(environment=environment), load()]
    assert [(settings.banner, settings.file) for settings in loaded] == [
        ("named", named),
        ("variable", other),
        ("users", users),
    ]


def test_an_empty_variable_is_no_variable(tmp_path: Path) -> None:
    empty = {"TREASURY_CONFIG": "", "TREASURY_PROFILE": "", "TREASURY_DATABASE_URL": ""}
    assert load(environment=empty) == load()


def test_without_an_environment_given_the_process_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREASURY_DATABASE_URL", "sqlite:////variable/t.sqlite")
    assert load_settings().treasury_url == "sqlite:////variable/t.sqlite"


def test_relative_paths_are_below_the_file_for_the_file_and_below_here_for_flag_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "etc" / "treasury.toml"
    file.write_text('[profiles.default]\ntreasury = "sqlite:///t.sqlite"\n')
    relative = "sqlite:///t.sqlite"
    assert load(file=Path("../etc/treasury.toml")).treasury_url.endswith("/etc/t.sqlite")
    assert load(file=file).treasury_url == f"sqlite:///{tmp_path}/etc/t.sqlite"
    assert load(file=file, database_url=relative).treasury_url == f"sqlite:///{tmp_path}/here/t.sqlite"
    assert (
        load(file=file, environment={"TREASURY_DATABASE_URL": relative}).treasury_url
        == f"sqlite:///{tmp_path}/here/t.sqlite"
    )
    assert load(database_url="sqlite:///~/t.sqlite").treasury_url == f"sqlite:///{tmp_path}/t.sqlite"


def test_an_embedded_treasury_has_its_shards_beside_it() -> None:
    settings = load(database_url="sqlite:////data/treasury.sqlite")
    assert [shard.url for shard in settings.shards] == [
        "sqlite:////data/shard-1.sqlite",
        "sqlite:////data/shard-2.sqlite",
    ]


SHARD = '[[profiles.default.shards]]\nname = "{}"\nurl = "{}"\n'

WRONG_VALUES: dict[str, tuple[str, str]] = {
    "treasury = 3": ("treasury", "it must be text in quotes"),
    'treasury = "treasury.sqlite"': ("treasury.sqlite", "is not a database URL"),
    'treasury = "sqlite:///"': ("sqlite:///", "is not a database URL"),
    'treasury = "mysql://host/db"': ("mysql://host/db", "is not a database URL"),
    "incident_pattern = 3": ("incident_pattern", "it must be text in quotes"),
    'incident_pattern = "("': ("incident_pattern", "the incident pattern '(' is wrong"),
    "pending_after = 300": ("pending_after", "it must be text in quotes"),
    'pending_after = "5 minutes"': ("pending_after", "'5 minutes' is not a duration"),
    'pending_after = "-5m"': ("pending_after", "'-5m' is not a duration"),
    'pending_after = "99999d"': ("pending_after", "longer than ten years"),
    'lease = "0s"': ("lease", "it must be longer than zero"),
    "lease = true": ("lease", "it must be text in quotes"),
    'busy_timeout = "soon"': ("busy_timeout", "'soon' is not a duration"),
    'synchronous = "full"': ("synchronous", "it must be one of FULL, NORMAL, OFF"),
    "synchronous = 2": ("synchronous", "it must be one of FULL, NORMAL, OFF"),
    "synchronous = []": ("synchronous", "it must be one of FULL, NORMAL, OFF"),
    'read_only = "yes"': ("read_only", "it must be true or false"),
    "read_only = 1": ("read_only", "it must be true or false"),
    "banner = 3": ("banner", "it must be text in quotes"),
    "theme = []": ("theme", "it must be text in quotes"),
    'keys = "r"': ("keys", "it must be a table"),
    "keys = { reconcile = 1 }": ("keys", "it must be text in quotes"),
    'currencies = ["EURC"]': ("currencies", "a table of CODE = scale"),
    'currencies = { EURC = "6" }': ("currencies", "a table of CODE = scale"),
    "currencies = { EURC = true }": ("currencies", "a table of CODE = scale"),
    "currencies = { EURC = 6.0 }": ("currencies", "a table of CODE = scale"),
    "currencies = { EURC = 19 }": ("currencies", "scale from 0 to 18, not 19"),
    "currencies = { EURC = -1 }": ("currencies", "scale from 0 to 18, not -1"),
    "currencies = { eurc = 6 }": ("currencies", "currency code 'eurc'"),
    "currencies = { USD = 3 }": ("currencies", "currency USD has scale 2, which cannot be changed"),
    "shards = 2": ("shards", "shards must be tables"),
    "shards = []": ("shards", "shards must be tables"),
    'shards = ["east"]': ("shards", "shards must be tables"),
    "shards = [{}]": ("shards", "a shard's name has 1 to 64"),
    'shards = [{ name = "east" }]': ("shards", "shard east needs a url"),
    'shards = [{ name = "no spaces", url = "sqlite:///e.sqlite" }]': ("shards", "a shard's name has 1 to 64"),
    'shards = [{ name = 3, url = "sqlite:///e.sqlite" }]': ("shards", "it must be text in quotes"),
    'shards = [{ name = "east", url = 3 }]': ("shards", "it must be text in quotes"),
    'shards = [{ name = "east", url = "sqlite:///e.sqlite", port = 1 }]': ("shards", "has no setting 'port'"),
    'shards = [{ name = "east", url = "sqlite:///e.sqlite", protocol = "xa" }]': ("shards", "it must be one of holds"),
    'shards = [{ name = "east", url = "east.sqlite" }]': ("east.sqlite", "is not a database URL"),
    'shards = [{ name = "a", url = "sqlite:///e.sqlite" }, { name = "a", url = "sqlite:///f.sqlite" }]': (
        "shards",
        "a name and a url of its own",
    ),
    'shards = [{ name = "a", url = "sqlite:///e.sqlite" }, { name = "b", url = "sqlite:///e.sqlite" }]': (
        "shards",
        "a name and a url of its own",
    ),
}


@pytest.mark.parametrize(("line", "expected"), WRONG_VALUES.items(), ids=list(WRONG_VALUES))
def test_a_wrong_value_is_refused_naming_the_setting_and_what_is_wrong(
    write: Write, line: str, expected: tuple[str, str]
) -> None:
    message = refusal(file=write(f"[profiles.default]\n{line}\n"))
    for part in expected:
        assert part in message


def test_two_shards_in_one_file_by_two_spellings_are_refused(write: Write, tmp_path: Path) -> None:
    shards = SHARD.format("a", "sqlite:///e.sqlite") + SHARD.format("b", f"sqlite:///{tmp_path}/e.sqlite")
    assert "url of its own" in refusal(file=write(shards))


def test_a_shard_in_the_treasurys_own_file_is_refused(write: Write) -> None:
    treasury = '[profiles.default]\ntreasury = "sqlite:///t.sqlite"\n'
    refusal(file=write(treasury + SHARD.format("a", "sqlite:///t.sqlite")))


@pytest.mark.parametrize("key", ["pending_afer", "Lease", "shard", "profile", "\\u001b[2J"])
def test_a_setting_that_is_not_known_is_refused_naming_it_and_those_that_are(write: Write, key: str) -> None:
    message = refusal(file=write(f'[profiles.default]\n"{key}" = "x"\n'))
    assert "is not known; known are" in message
    assert "pending_after" in message
    assert "\\x1b[2J" in message if key.startswith("\\u") else key in message


def test_the_settings_named_as_known_are_those_a_profile_can_have(write: Write) -> None:
    message = refusal(file=write('[profiles.default]\nx = "x"\n'))
    for name in message.partition("known are ")[2].split(", "):
        refused = refusal(file=write(f"[profiles.default]\n{name} = 1979-05-27\n"))
        assert "is not known" not in refused


@pytest.mark.parametrize("text", ["banner = 'x'", "[production]\nbanner = 'x'", "profile = 'production'"])
def test_a_setting_outside_a_profile_is_refused_saying_where_it_belongs(write: Write, text: str) -> None:
    assert "is not known; settings go under [profiles.NAME]" in refusal(file=write(text))


@pytest.mark.parametrize("text", ["profiles = 3", "profiles = ['a']", "[profiles]\ndefault = 3"])
def test_profiles_that_are_no_tables_are_refused(write: Write, text: str) -> None:
    assert "must be a table" in refusal(file=write(text))


@pytest.mark.parametrize("value", ["3", "true", "['production']"])
def test_a_default_profile_that_is_no_text_is_refused(write: Write, value: str) -> None:
    assert "default_profile" in refusal(file=write(f"default_profile = {value}\n[profiles.default]\nbanner = 'x'\n"))


def test_a_profile_that_does_not_exist_is_refused_naming_its_source_and_those_that_do(write: Write) -> None:
    file = write(EVERYTHING)
    expected = "there is no profile 'nope' (from {}); the file has production, staging"
    assert expected.format("--profile") in refusal(file=file, profile="nope")
    assert expected.format("TREASURY_PROFILE") in refusal(file=file, environment={"TREASURY_PROFILE": "nope"})
    assert "there is no profile 'nope'" in refusal(profile="nope")
    named = write(EVERYTHING.replace('"production"', '"nope"', 1))
    assert expected.format("default_profile in the file") in refusal(file=named)


def test_with_profiles_but_no_default_one_must_be_chosen(write: Write) -> None:
    text = EVERYTHING.replace('default_profile = "production"', "")
    assert "there is no profile 'default'" in refusal(file=write(text))


def test_a_file_that_was_named_but_is_not_there_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert refusal(file=missing) == f"there is no configuration file {missing}"
    assert refusal(environment={"TREASURY_CONFIG": str(missing)}) == f"there is no configuration file {missing}"


def test_what_is_not_toml_is_refused_with_the_place(write: Write) -> None:
    message = refusal(file=write("[profiles.default]\nbanner = PRODUCTION\n"))
    assert "is not TOML" in message
    assert "line 2" in message


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "treasury.toml"
    file.write_bytes(b"\xff\xfe\x00binary")
    assert "cannot be read" in refusal(file=file)
    assert "cannot be read" in refusal(file=tmp_path)


def test_a_profile_name_that_means_harm_is_shown_harmlessly(write: Write) -> None:
    name = "\\u001b]0;pwn\\u0007"
    file = write(f'[profiles."{name}"]\nlease = "0s"\n')
    refusal(file=file)
    assert "lease" in refusal(file=file, profile="\x1b]0;pwn\x07")


def test_a_file_name_that_means_harm_is_shown_harmlessly(tmp_path: Path) -> None:
    file = tmp_path / "\x1b]0;pwn\x07.toml"
    for text in ("nothing = 1", "[profiles.default]\nlease = '0s'", "[profiles.default]\nx = 1", "profiles = 1", "="):
        file.write_text(text)
        refusal(file=file)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@host/db",
        f"postgresql+psycopg://user:{SECRET}@host:5432/db?sslmode=require",
        f"postgresql://host/db?user=u&password={SECRET}",
        f"postgresql://user:a@{SECRET}@host/db",
        f"postgresql://user:a/{SECRET}@host/db",
        f"postgresql://user:a#{SECRET}@host/db",
        f"postgresql://user:a?{SECRET}@host/db",
        f"postgresql://user:{SECRET}]@[host/db",
        f"host=db user=u password={SECRET}",
        f"user:{SECRET}@host/db",
        f"sqlite://user:{SECRET}@host/db",
    ],
)
def test_a_password_in_a_url_is_never_repeated(write: Write, url: str) -> None:
    messages = [
        refusal(database_url=url),
        refusal(environment={"TREASURY_DATABASE_URL": url}),
        refusal(file=write(f'[profiles.default]\ntreasury = "{url}"\n')),
        refusal(file=write(SHARD.format("east", url))),
    ]
    assert all(SECRET not in message for message in messages)
