"""Asking a language model, for labelling, judging, curating and searching prompts: one client for all of them.

    client = Client(ServerModel("http://127.0.0.1:8000/v1", "llama-3-8b"), cache=Path("cache"))
    found = client.ask([[{"role": "user", "content": "One word: what is red, yellow and green?"}]], ReplySampling())
    found.values      # ["A red light"]

Around every kind of model the client puts, once: a cache on disk, a bounded number of calls at a time, the order of the
requests, equal requests asked once, and a count of the replies that could not be parsed and of those that never came.
The kinds are the members of `models.LANGUAGE_MODELS`.
"""

from cityscribe.llm.client import Client, Replies
from cityscribe.llm.message import Message, NoReplyError, Reply, ReplySampling

__all__ = ["Client", "Message", "NoReplyError", "Replies", "Reply", "ReplySampling"]
