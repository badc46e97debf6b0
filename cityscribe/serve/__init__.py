"""The service: an HTTP API as OpenAI's clients expect it, descriptions of clips as jobs, and a web page.

The process that listens holds neither the model nor a decoder: both run in processes of their own (`model_process`,
`decoder`) that can die or be killed and are started again.
"""
