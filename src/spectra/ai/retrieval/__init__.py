"""What is known of a target, chosen and put in order for a model to read: facts with references that can be cited."""
