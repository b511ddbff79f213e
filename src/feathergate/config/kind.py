"""What a setting may be: types that say what is valid, how an error names it, and how an error mends it.

The `title` of an annotated type is how an error names it, its first example how an error mends it. Units stand in the
settings' names, or in their documentation where LiteLLM gave the name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=1e9, title="a number of seconds above 0", examples=[30])]
Pause = Annotated[float, Meta(ge=0, le=1e9, title="a number of seconds, 0 or more", examples=[30])]
Count = Annotated[int, Meta(gt=0, le=2**31 - 1, title="a whole number above 0", examples=[100])]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1, title="a whole number, 0 or more", examples=[2])]
Order = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1, title="a whole number", examples=[1])]
Rate = Annotated[float, Meta(ge=0, le=1e9, title="a number, 0 or more", examples=[1])]
Share = Annotated[float, Meta(ge=0, le=1, title="a number from 0 to 1", examples=[0.2])]
ByteCount = Annotated[int, Meta(gt=0, le=2**40, title="a whole number of bytes above 0", examples=[1048576])]
ByteLimit = Annotated[int, Meta(ge=0, le=2**60, title="a whole number of bytes, 0 or more", examples=[1073741824])]
Text = Annotated[str, Meta(min_length=1, title="text", examples=['"text"'])]
HeaderText = Annotated[
    str, Meta(pattern=r"\A[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z", title="text of printable ASCII characters")
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"\A(\*|[a-z][a-z0-9+.-]*://[^\s/]+)\Z",
        title='an origin such as https://app.example, or "*"',
        examples=['["https://app.example"]'],
    ),
]
ModelName = Annotated[str, Meta(min_length=1, title="the name of a model", examples=["[slow]"])]

Translation = Annotated[Literal["strict", "lenient"], Meta(title="strict or lenient", examples=["strict"])]
RoutingStrategy = Annotated[
    Literal[
        "simple-shuffle",
        "least-busy",
        "latency-based-routing",
        "usage-based-routing",
        "usage-based-routing-v2",
        "cost-based-routing",
    ],
    Meta(examples=["simple-shuffle"]),
]
Fallbacks = Annotated[
    dict[str, tuple[ModelName, ...]],
    Meta(title="a list of mappings, each of one model to its fallbacks", examples=["[{fast: [slow]}]"]),
]


class Parameters(dict[str, Any]):
    """A part of a request's body. Its `repr` shows the names only: a value may be confidential."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: ..." for name in self) + "}"
