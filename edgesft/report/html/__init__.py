"""HTML reports: each one file that works offline, on a phone, in dark mode and on paper."""
