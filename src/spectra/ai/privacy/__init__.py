"""What is private in a text: found, replaced by pseudonyms that keep its structure, and put back into answers."""
