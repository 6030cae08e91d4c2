"""`python -m kilocam` is the `kilocam` command."""

from kilocam.cli.main import main

if __name__ == "__main__":
    main()
