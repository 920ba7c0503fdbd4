"""`python -m laghu.report.claims` writes results/claims.csv."""

from laghu.report.claims.audit import write

if __name__ == "__main__":
    print(write())
