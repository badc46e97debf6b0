"""What is about traffic: scenarios, phases, road users, views, boxes. The ground floor never imports it."""
