"""The command line: parse, call the library, render. Exit codes live here."""
