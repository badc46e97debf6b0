"""Images and videos as people see them."""
