"""The notifier: who is reminded, of what, when and how, and why not."""
