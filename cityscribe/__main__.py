"""`python -m cityscribe`, which is how torchrun starts it."""

from cityscribe.cli import main

if __name__ == "__main__":
    main()
