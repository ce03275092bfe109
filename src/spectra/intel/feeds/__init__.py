"""Feeds: one reader a format, each giving networks with what is known of them."""
