"""Failures nobody foresaw: a report in a file only its owner can read, and one sentence for the person.

A traceback on the screen would show local variables to whoever looks over a shoulder; the report has none of them, and
secrets in its messages are masked.
"""

from __future__ import annotations

import os
import re
import tempfile
import traceback
from pathlib import Path

from platformdirs import user_state_path

from treasury_console.domain.text import safe_text

_URL_PASSWORD = re.compile(r"(?i)([a-z][a-z0-9+.-]{0,20}://[^\s:/@]*):[^\s@]*@")
_NAMED_SECRET = re.compile(r"(?i)((?:password|passwd|passphrase|secret|token|api_?key)['\"]?\s*[=:]\s*)\S+")


def report_failure(error: BaseException, folder: Path | None = None) -> str:
    """Write a report of `error` into `folder` (default: the user's state folder); return a sentence about it."""
    kind = type(error).__name__
    try:
        place = _write(_report(error), folder or _state_folder())
    except OSError:
        return f"an unexpected {kind} happened, a defect of this program; its report could not be written anywhere"
    return f"an unexpected {kind} happened, a defect of this program; its report is in {place}"


def _report(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).split("\n")
    return "\n".join(safe_text(_masked(line)) for line in lines)


def _masked(line: str) -> str:
    return _NAMED_SECRET.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", line))


def _write(text: str, folder: Path | None) -> Path:
    # mkstemp makes the file with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix="treasury-console-", suffix=".txt", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def _state_folder() -> Path | None:
    """Return the state folder; None, the system's temporary folder, when it cannot be written."""
    folder = user_state_path("treasury-console")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None
