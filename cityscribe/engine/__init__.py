"""One way to ask a model: requests in, answers or scores of given texts out. `request` says what they are."""
