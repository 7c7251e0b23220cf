"""`python -m emocap` runs the command line."""

from emocap.cli.main import main

if __name__ == "__main__":
    main()
