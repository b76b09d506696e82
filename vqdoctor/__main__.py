"""`python -m vqdoctor`: the same as the console script."""

from vqdoctor.cli import main

if __name__ == "__main__":
    main()
