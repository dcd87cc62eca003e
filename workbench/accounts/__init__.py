"""Local accounts: people, how they sign in, and the record of it."""

from workbench.accounts.accounts import Accounts

__all__ = ["Accounts"]
