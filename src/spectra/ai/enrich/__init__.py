"""Looking things up elsewhere: bounded fetches from listed hosts, and what is made of them."""
