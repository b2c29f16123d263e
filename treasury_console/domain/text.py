"""Text from outside (agent names, references, server errors), made harmless before anyone sees it.

Terminals obey control characters and readers are misled by invisible or reordering ones, so each is shown as a visible
escape instead. Markup is the renderer's business: a renderer never parses outside text.
"""

from __future__ import annotations

_VISIBLE: dict[int, str] = (
    {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}
    | {
        code: f"\\u{code:04x}"
        for code in (
            0x00AD,
            0x034F,
            0x061C,
            0x115F,
            0x1160,
            0x180E,
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFEFF,
            0xFFA0,
            *range(0xFFF9, 0xFFFC),
            *range(0xD800, 0xE000),
        )
    }
    | {code: f"\\U{code:08x}" for code in range(0xE0000, 0xE01F0)}
)


def safe_text(text: str, limit: int | None = None) -> str:
    r"""Return `text` on one line with control, bidirectional and zero-width characters as escapes such as `\x1b`.

    `limit` cuts the result to that many characters, the last one then being an ellipsis.
    """
    visible = text.translate(_VISIBLE)
    if limit is not None and len(visible) > limit:
        return visible[: limit - 1] + "…" if limit > 0 else ""
    return visible
