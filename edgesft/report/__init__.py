"""Output for people and CI: tables, HTML pages, and the formats of CI services."""
