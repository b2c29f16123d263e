"""From results of operations to rows and lines of plain, safe text. Nothing here draws, or asks a database."""
