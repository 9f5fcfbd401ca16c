"""The service that takes uploads in: HTTP and plain TCP, accounts, and what is known of every run."""
