"""The files a user writes (recipes, profiles, budgets), and error messages that name the file, line and key."""
