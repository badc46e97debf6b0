"""What the client does around a model, with models that are rules, so that every reply is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cityscribe.files import InputError
from cityscribe.llm import Client, NoReplyError, Reply, ReplySampling
from cityscribe.llm.client import SILENT_IN_A_ROW
from cityscribe.llm.models import LANGUAGE_MODELS
from cityscribe.llm.script import ScriptedModel, write_script
from cityscribe.llm.settings import ScriptSettings, ServerSettings, language_model_client


class Rule:
    """Answers by a function of the last message; `asked` are the chats of all calls, in the order they came."""

    place = "a rule"

    def __init__(self, reply: Any, batch_size: int = 1, calls_at_once: int = 1) -> None:
        self.identity = {"kind": "rule"}
        self.reply, self.batch_size, self.calls_at_once = reply, batch_size, calls_at_once
        self.asked: list[str] = []
        self.samplings: list[ReplySampling] = []
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def answer(self, chats: Sequence[Any], sampling: ReplySampling) -> list[Reply | NoReplyError]:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.asked += ["\n".join(message["content"] for message in chat) for chat in chats]
            self.samplings.append(sampling)
        found = [self.reply(chat[-1]["content"], sampling) for chat in chats]
        with self.lock:
            self.under_way -= 1
        return [one if isinstance(one, NoReplyError) else Reply(one) for one in found]


def chats(*texts: str) -> list[list[Any]]:
    return [[{"role": "user", "content": text}] for text in texts]


def whole(place: int, text: str) -> str | None:
    return text


def number(place: int, text: str) -> int | None:
    return int(text) if text.isdigit() else None


def test_replies_stand_in_the_order_of_the_requests_however_they_come() -> None:
    words = [str(n) for n in range(40)]

    def slow(text: str, sampling: ReplySampling) -> str:
        time.sleep(0.02 if int(text) % 7 == 0 else 0)
        return text

    rule = Rule(slow, batch_size=3, calls_at_once=4)
    done: list[int] = []
    found = Client(rule).ask(chats(*words, *words), ReplySampling(), number, progress=lambda n, total: done.append(n))
    assert found.values == [*range(40), *range(40)]
    assert sorted(rule.asked) == sorted(words), "equal requests are asked once"
    assert 1 < rule.most <= 4
    assert (done, sorted(done)) == (sorted(done), list(range(2, 82, 2)))


def test_what_cannot_be_parsed_is_asked_again_so_often_and_counted() -> None:
    def later(text: str, sampling: ReplySampling) -> str:
        return "5" if text == "now" or (text == "then" and sampling.seed == 2) else "five"

    rule = Rule(later)
    found = Client(rule).ask(chats("now", "then", "never", "never"), ReplySampling(), number, repeats=2)
    assert found.values == [5, 5, None, None]
    assert found.texts == ["5", "5", "five", "five"]
    assert (found.unparsed, found.unanswered, found.repeated) == (2, 0, 4)
    assert {(each.seed, each.temperature) for each in rule.samplings} == {(0, 0.0), (1, 0.7), (2, 0.7)}


def test_a_request_without_reply_ends_the_whole_or_is_counted() -> None:
    def refuses(text: str, sampling: ReplySampling) -> str | NoReplyError:
        return NoReplyError("a rule: too long", "refused") if text == "long" else text

    with pytest.raises(InputError, match="too long"):
        Client(Rule(refuses)).ask(chats("1", "long", "2"), ReplySampling(), number)
    found = Client(Rule(refuses)).ask(chats("1", "long", "2"), ReplySampling(), number, skip_unanswered=True)
    assert (found.values, found.unparsed, found.unanswered) == ([1, None, 2], 0, 1)


@pytest.mark.parametrize("why", ["silent", "hopeless"])
def test_a_model_that_answers_nothing_ends_the_whole_soon(why: Any) -> None:
    def nothing(text: str, sampling: ReplySampling) -> NoReplyError:
        time.sleep(0.01)
        return NoReplyError(f"a rule: {why}", why)

    rule = Rule(nothing)
    with pytest.raises(InputError, match=why):
        Client(rule).ask(chats(*map(str, range(100))), ReplySampling(), number, skip_unanswered=True)
    assert len(rule.asked) <= (SILENT_IN_A_ROW if why == "silent" else 1) + 2


def test_the_cache_is_of_the_model_the_messages_and_the_sampling(tmp_path: Path) -> None:
    rule = Rule(lambda text, sampling: text + str(sampling.seed))
    client = Client(rule, cache=tmp_path / "cache")
    first = client.ask(chats("1", "2"), ReplySampling(), number)
    assert Client(rule, cache=tmp_path / "cache").ask(chats("2", "1"), ReplySampling(), number).values == [20, 10]
    assert (first.values, len(rule.asked)) == ([10, 20], 2)
    client.ask(chats("1"), ReplySampling(seed=1), number)
    client.ask([[{"role": "system", "content": "s"}, *chats("1")[0]]], ReplySampling(), number)
    rule.identity = {"kind": "another rule"}
    client.ask(chats("1"), ReplySampling(), number)
    assert len(rule.asked) == 5


def test_a_damaged_file_of_the_cache_is_no_reply(tmp_path: Path) -> None:
    rule = Rule(lambda text, sampling: text)
    Client(rule, cache=tmp_path).ask(chats("1", "2"), ReplySampling(), number)
    files = sorted(tmp_path.rglob("*.json"))
    files[0].write_text('{"text": "to')
    files[1].write_text("[" * 100_000)
    assert Client(rule, cache=tmp_path).ask(chats("1", "2"), ReplySampling(), number).values == [1, 2]
    assert len(rule.asked) == 4


KILLED = """
import sys, time
from pathlib import Path
from cityscribe.llm import Client, ReplySampling
from tests.llm.test_client import Rule, chats, number

def slow(text, sampling):
    time.sleep(0.02)
    print(text, flush=True)
    return text

model = Rule(slow, calls_at_once=2)
found = Client(model, cache=Path(sys.argv[1])).ask(chats(*map(str, range(30))), ReplySampling(), number)
print("values", found.values, len(model.asked))
"""


def test_killed_and_asked_again_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        for _ in range(10):
            running.stdout.readline()
        os.kill(running.pid, signal.SIGKILL)
    kept = len(list(tmp_path.rglob("*.json")))
    assert 8 <= kept < 30
    rest = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    assert rest.splitlines()[-1] == f"values {list(range(30))} {30 - kept}"


def test_a_run_is_recorded_and_repeated_without_its_model(tmp_path: Path) -> None:
    client = Client(Rule(lambda text, sampling: f"{text}!{sampling.seed}"))
    asked = chats("a", "ä \ud800", "b")
    first = client.ask(asked, ReplySampling(), whole)
    write_script(tmp_path / "replies.json", client.recorded)
    script = language_model_client(ScriptSettings(path=tmp_path / "replies.json"), "here")
    assert script.ask(asked, ReplySampling(), whole).values == first.values
    with pytest.raises(InputError, match=r"replies\.json: has no reply to the request [0-9a-f]{12}: a new one"):
        script.ask(chats("a new one"), ReplySampling(), whole)
    with pytest.raises(InputError, match="has no reply"):
        script.ask(asked, ReplySampling(seed=1), whole)
    (tmp_path / "replies.json").write_text('{"a": 3}')
    with pytest.raises(InputError, match="expected one object"):
        ScriptedModel(tmp_path / "replies.json")


def test_a_kind_of_ones_own_is_listed_checked_and_asked() -> None:
    LANGUAGE_MODELS.add("echo", lambda: Rule(whole), "says what it hears")
    try:
        with pytest.raises(InputError, match="language-model echo: expected a class with the method answer"):
            LANGUAGE_MODELS["echo"]
    finally:
        LANGUAGE_MODELS.remove("echo")
    LANGUAGE_MODELS.add("echo", Rule, "says what it hears")
    try:
        assert "echo" in LANGUAGE_MODELS.names()
        client = Client(LANGUAGE_MODELS["echo"](lambda text, sampling: text))
        assert client.ask(chats("7"), ReplySampling(), number).values == [7]
    finally:
        LANGUAGE_MODELS.remove("echo")


def test_a_model_without_a_name_is_refused_by_its_place() -> None:
    with pytest.raises(InputError, match=r"prepare\.labeller\.model: missing"):
        language_model_client(ServerSettings(), "prepare.labeller")
