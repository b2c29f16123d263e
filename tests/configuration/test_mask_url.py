"""A URL is shown without its secrets and otherwise as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_console.configuration import mask_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://user:hunter2@host/db", "postgresql://user:***@host/db"),
        ("postgresql+psycopg://user:hunter2@host:5432/db", "postgresql+psycopg://user:***@host:5432/db"),
        ("postgresql://user:@host/db", "postgresql://user:***@host/db"),
        ("postgresql://:hunter2@host/db", "postgresql://:***@host/db"),
        ("postgresql://user:p@ss@host/db", "postgresql://user:***@host/db"),
        ("postgresql://host/db?user=u&password=hunter2", "postgresql://host/db?user=u&password=***"),
        ("postgresql://host/db?PASSWORD=hunter2&sslmode=on", "postgresql://host/db?PASSWORD=***&sslmode=on"),
        ("postgresql://host/db?sslpassword=hunter2", "postgresql://host/db?sslpassword=***"),
        ("https://host/?token=hunter2&secret=hunter2", "https://host/?token=***&secret=***"),
    ],
)
def test_secrets_are_masked_and_the_rest_is_kept(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/treasury.sqlite",
        "sqlite:////data/a:b@c.sqlite",
        "postgresql://host/db",
        "postgresql://user@host/db",
        "postgresql://user@[::1]:5432/db?sslmode=require",
        "postgresql:///db",
    ],
)
def test_a_url_without_a_secret_stays_as_it_is(url: str) -> None:
    assert mask_url(url) == url


printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E)


@given(st.text(printable, max_size=8), st.text(printable, max_size=8))
def test_whatever_characters_a_password_has_it_is_not_shown(before: str, after: str) -> None:
    for url in (
        f"postgresql://user:{before}hunter2{after}@host/db",
        f"postgresql://host/db?password={before.replace('&', '')}hunter2{after}",
    ):
        assert "hunter2" not in mask_url(url)


@pytest.mark.parametrize(
    "text", ["", "://", "postgresql://[", "host=db password=hunter2", "user:hunter2@host/db", "\x00"]
)
def test_what_is_no_url_is_shown_without_a_secret_too(text: str) -> None:
    assert "hunter2" not in mask_url(text)
