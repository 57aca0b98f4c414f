"""The notifier over HTTP: recipients, the ledger, and the page by which a message's reader gets quiet."""
