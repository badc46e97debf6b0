"""Models: load and save any Hugging Face image-text-to-text model, choose what trains in it, build one from parts."""
