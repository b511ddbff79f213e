"""`python -m feathergate` is `feathergate`."""

from feathergate.cli import main

main()
