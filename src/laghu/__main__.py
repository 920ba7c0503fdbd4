"""`python -m laghu`."""

from laghu.cli import main

main()
