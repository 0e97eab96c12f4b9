"""`python -m ml_exporter` is the command `ml-exporter`."""

from ml_exporter.cli import main

main()
