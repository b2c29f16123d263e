"""`python -m treasury_console.cli` is `treasury-cli`."""

from treasury_console.cli.main import main

main()
