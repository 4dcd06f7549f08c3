"""``python -m nowserving`` is the command ``nowserving``."""

from nowserving.cli import main

if __name__ == "__main__":
    main()
