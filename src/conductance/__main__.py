"""``python -m conductance``: the command line."""

from conductance.cli import main

if __name__ == "__main__":
    main()
