"""One router per page or noun."""
