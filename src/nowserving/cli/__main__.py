"""``python -m nowserving.cli``: the command without its script."""

from nowserving.cli import main

main()
