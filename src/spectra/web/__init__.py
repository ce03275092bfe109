"""The dashboard: pages for people who would rather look than read, rendered here and live where a browser can."""
