"""`python -m server` is the `tandem` command, also in a checkout that is not installed."""

from server.command import main

main()
