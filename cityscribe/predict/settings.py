"""Settings of the prediction: the section `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Protocol, cast

from pydantic import Field, model_validator

from cityscribe.engine.decoding import Decoding
from cityscribe.models.settings import ModelSettings
from cityscribe.predict.captions import CaptionWriter, FromFrames
from cityscribe.predict.choosers import Chooser, First
from cityscribe.predict.over_time.decoder import AnswerDecoder, Independent
from cityscribe.settings import Named, OneOf, Positive, Rate, Section, conflict


class RemoteSettings(Section):
    """A server that answers in the place of the trained model, for predict.engine: remote."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="of any OpenAI-compatible server")
    model: str = Field("", description="name of the model on that server")
    concurrency: Positive = Field(8, description="requests under way at once")
    tries: Positive = Field(6, description="of each request, with growing pauses between them")
    timeout_s: Rate = Field(120.0, description="seconds to wait for one answer")


class PredictSettings(Section):
    engine: Annotated[str, Named("engine")] = Field(
        "local", description="who answers; remote asks a server, its key is OPENAI_API_KEY"
    )
    remote: RemoteSettings = RemoteSettings()
    split: Literal["val", "test", "train"] = "val"
    order: Annotated[str, Named("question-order")] = Field(
        "vehicle-pedestrian",
        description="section 3.4: the earlier answer stays in the conversation of the later question",
    )
    max_new_tokens: Positive = 256
    batch_size: Positive = Field(8, description="scenes answered together")
    drafts: bool = Field(True, description="propose phrases of the training captions; same answers, fewer steps")
    choices: Literal["text", "letters", "likelihood", "words"] = Field(
        "text",
        description="a question with options: said freely and the letter read from it, or only letters can be said "
        "(extra [serve]), or the likeliest letter, or the option whose words are likeliest as the whole answer",
    )
    option_orders: Literal["given", "all"] = Field(
        "given",
        description="all: the likelihood of an option is its mean over all rotations of the options, so that no letter "
        "is favoured",
    )
    temperature: float = Field(0.0, ge=0, description="0 is greedy")
    samples: Positive = Field(1, description="answers that are drawn to each question, of which one is given")
    choose: Annotated[Chooser, OneOf("chooser")] = Field(
        cast(Chooser, {}),  # the first member
        description="which of them is given",
    )
    decoding: Annotated[Decoding, OneOf("decoding")] = Field(
        cast(Decoding, {}),  # the first member
        description="how the next token is found: by the model as it is, or corrected by what it would say blind",
    )
    captions: Annotated[CaptionWriter, OneOf("caption-writer")] = Field(
        cast(CaptionWriter, {}),  # the first member
        description="what the captions of scenarios are written from: their frames, or answers about them",
    )
    over_time: Annotated[AnswerDecoder, OneOf("answer-decoder")] = Field(
        cast(AnswerDecoder, {}),  # the first member
        description="how the answers to the questions with options of a scenario are chosen together",
    )
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    baselines: tuple[Literal["untuned", "blind"], ...] = Field(
        (), description="also predicted and scored: the model before tuning; the same training without images"
    )

    @property
    def by_likelihood(self) -> bool:
        """Whether each option of a question is scored, instead of an answer being said."""
        return self.choices in ("likelihood", "words")

    @model_validator(mode="after")
    def _remote_or_not(self) -> PredictSettings:
        if self.engine == "remote" and self.baselines:
            raise conflict("baselines are other models than the one on the server: ask them with engine local")
        if self.engine == "remote" and self.choices != "text":
            raise conflict("a server is asked for text only: choices must be text")
        if self.engine == "remote" and self.decoding.contrast() is not None:
            raise conflict("a server answers as its model does: decoding must be plain")
        return self

    @model_validator(mode="after")
    def _likelihoods_over_time(self) -> PredictSettings:
        if not isinstance(self.over_time, Independent) and not self.by_likelihood:
            raise conflict("over_time chooses by the likelihood of each option: set choices to likelihood or words")
        return self

    @model_validator(mode="after")
    def _likelihoods_in_all_orders(self) -> PredictSettings:
        if self.option_orders == "all" and not self.by_likelihood:
            raise conflict("option_orders all is a mean of likelihoods: set choices to likelihood or words")
        return self

    @model_validator(mode="after")
    def _something_to_choose_from(self) -> PredictSettings:
        if self.samples > 1 and self.temperature == 0:
            raise conflict("samples above 1 are all the same at temperature 0: set temperature, such as 1.0")
        if self.samples > 1 and not isinstance(self.captions, FromFrames):
            raise conflict("captions from facts are one each: set samples to 1")
        if self.samples == 1 and not isinstance(self.choose, First):
            raise conflict("choose chooses among several answers: set samples above 1")
        return self


class Predicting(Protocol):
    """What a prediction takes of the settings of a project."""

    @property
    def seed(self) -> int: ...

    @property
    def predict(self) -> PredictSettings: ...

    @property
    def model(self) -> ModelSettings: ...

    @property
    def run_dir(self) -> Path: ...


def results_in(run_dir: Path, split: str) -> Path:
    """Where a run folder has the answers and scores of a split: `val` has them in the folder itself, every other split
    in a folder of its name, so that none takes the place of another."""
    return run_dir if split == "val" else run_dir / split
