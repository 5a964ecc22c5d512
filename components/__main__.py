"""`python -m components` is `adloom`."""

from components.cli import main

if __name__ == "__main__":
    main()
