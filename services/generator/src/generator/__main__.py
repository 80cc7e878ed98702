"""`python -m generator`."""

from generator.main import main

if __name__ == "__main__":
    main()
