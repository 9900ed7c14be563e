"""Reports as one HTML file each, readable offline, on a phone, in the dark and on paper."""
