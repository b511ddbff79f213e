"""Bodies that are not JSON, not what the API takes, or JSON of the odd kind: 400 where wrong, and never our failure.

What RFC 8259 leaves to the reader (depth, large numbers, lone surrogates, repeated keys) has an answer here too.
"""

from __future__ import annotations

import json

import pytest
from tests.fuzz.target import Target

DEEP = 100_000
MESSAGES = b'"messages":[{"role":"user","content":"Hi"}]'
BASE = b'{"model":"MODEL",' + MESSAGES
MODELS = ("fuzz-echo", "fuzz-openai", "fuzz-anthropic", "fuzz-gemini")

NOT_JSON = {
    "nothing": b"",
    "white space": b" \t\r\n",
    "a word": b"hello",
    "an open object": b"{",
    "an open array": b"[",
    "an open string": b'{"model',
    "a cut body": BASE,
    "a closing brace too many": BASE + b"}}",
    "two objects": BASE + b"}" + BASE + b"}",
    "text after the object": BASE + b"} x",
    "a comma too many": BASE + b",}",
    "a comma too many in an array": BASE + b',"stop":["a",]}',
    "a comma missing": b'{"model":"MODEL" ' + MESSAGES + b"}",
    "a colon missing": b'{"model" "MODEL",' + MESSAGES + b"}",
    "a colon too many": b'{"model"::"MODEL",' + MESSAGES + b"}",
    "a comment": BASE + b"/* x */}",
    "a line comment": BASE + b"}// x",
    "single quotes": b"{'model':'MODEL'}",
    "a key without quotes": b'{model:"MODEL",' + MESSAGES + b"}",
    "a number as a key": b'{1:"MODEL",' + MESSAGES + b"}",
    "NaN": BASE + b',"temperature":NaN}',
    "Infinity": BASE + b',"temperature":-Infinity}',
    "a plus sign": BASE + b',"temperature":+1}',
    "a leading zero": BASE + b',"temperature":01}',
    "a point at the end": BASE + b',"temperature":1.}',
    "a point at the start": BASE + b',"temperature":.5}',
    "an empty exponent": BASE + b',"temperature":1e}',
    "a hexadecimal number": BASE + b',"seed":0x10}',
    "a lone minus": BASE + b',"seed":-}',
    "True": BASE + b',"stream":True}',
    "a cut word": BASE + b',"stream":tru}',
    "an unknown escape": BASE + b',"user":"\\x41"}',
    "a short unicode escape": BASE + b',"user":"\\u12"}',
    "a raw line feed in a string": BASE + b',"user":"a\nb"}',
    "a raw zero byte in a string": BASE + b',"user":"a\x00b"}',
    "a zero byte after the object": BASE + b"}\x00",
    "a byte order mark": b"\xef\xbb\xbf" + BASE + b"}",
    "UTF-16": (BASE + b"}").decode().encode("utf-16"),
    "a lone continuation byte": BASE + b',"user":"\x80"}',
    "a cut character": BASE + b',"user":"\xe2\x82"}',
    "an overlong slash": BASE + b',"user":"\xc0\xaf"}',
    "a surrogate in UTF-8": BASE + b',"user":"\xed\xa0\x80"}',
    "beyond Unicode": BASE + b',"user":"\xf4\x90\x80\x80"}',
    "open arrays without end": b"[" * DEEP,
    "open objects without end": b'{"a":' * DEEP,
    "form data": b"model=MODEL&stream=true",
    "an event stream": b"data: {}\n\n",
}

WRONG = {
    "null": b"null",
    "a number": b"7",
    "a string": b'"MODEL"',
    "an array": b"[" + BASE + b"}]",
    "an empty object": b"{}",
    "no messages": b'{"model":"MODEL"}',
    "no model": b"{" + MESSAGES + b"}",
    "messages that are null": b'{"model":"MODEL","messages":null}',
    "messages that are an object": b'{"model":"MODEL","messages":{}}',
    "no message in messages": b'{"model":"MODEL","messages":[]}',
    "a model that is null": b'{"model":null,' + MESSAGES + b"}",
    "a model without a name": b'{"model":"",' + MESSAGES + b"}",
    "a key twice": BASE + b',"user":"a","user":"b"}',
    "a key twice in other spelling": BASE + b',"user":"a","\\u0075ser":"b"}',
    "messages twice": BASE + b"," + MESSAGES + b"}",
    "a number of endless size": BASE + b',"temperature":1e999}',
    "an integer of endless size": BASE + b',"max_tokens":' + b"9" * 5000 + b"}",
    "a fraction for an integer": BASE + b',"max_tokens":1.5}',
    "a string for a number": BASE + b',"temperature":"1"}',
    "a number for a truth value": BASE + b',"stream":1}',
    "a deep known member": BASE + b',"stop":' + b"[" * DEEP + b"]" * DEEP + b"}",
}

ODD = {
    "white space everywhere": b'\r\n{\t"model" : "MODEL" ,\n' + MESSAGES + b" }\r\n ",
    "escapes in keys": b'{"\\u006dodel":"MODEL",' + MESSAGES + b"}",
    "every escape": BASE + b',"user":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u0000"}',
    "a pair of surrogates": BASE + b',"user":"\\ud83d\\ude00"}',
    "every plane of Unicode": BASE + ',"user":"é€😀\U0010ffff\u2028\ufeff"}'.encode(),
    "an empty key": BASE + b',"":1}',
    "a key of a prototype": BASE + b',"__proto__":{"a":1}}',
    "many members": BASE + b"".join(b',"k%d":%d' % (number, number) for number in range(2000)) + b"}",
    "a long string": BASE + b',"user":"' + b"x" * 500_000 + b'"}',
    "negative zero": BASE + b',"temperature":-0.0}',
    "a very small number": BASE + b',"temperature":1e-400}',
    "an exponent": BASE + b',"temperature":1E0}',
    "a null in every knob": BASE + b',"stop":null,"tools":null,"stream":null,"seed":null}',
}

UNDECIDED = {
    "an integer as a fraction": BASE + b',"max_tokens":5.0}',
    "a lone surrogate": BASE + b',"user":"\\ud800"}',
    "surrogates the wrong way round": BASE + b',"user":"\\ude00\\ud83d"}',
    "a lone surrogate in a message": b'{"model":"MODEL","messages":[{"role":"user","content":"\\udead"}]}',
    "a lone surrogate in a model": b'{"model":"\\ud800",' + MESSAGES + b"}",
    "a model of odd characters": b'{"model":"../\\u0000\\r\\n?#",' + MESSAGES + b"}",
    "a deep unknown member": BASE + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a deep unknown member, lightly": BASE + b',"x":' + b"[" * 900 + b"]" * 900 + b"}",
    "an unknown integer of endless size": BASE + b',"x":' + b"9" * 5000 + b"}",
    "a deep schema": BASE
    + b',"tools":[{"type":"function","function":{"name":"f","parameters":'
    + b'{"type":"object","properties":{"a":' * 400
    + b"{}"
    + b"}}" * 400
    + b"}}]}",
    "deep arguments": b'{"model":"MODEL","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":'
    b'[{"id":"c","type":"function","function":{"name":"f","arguments":"' + b"[" * DEEP + b'"}}]}]}',
    "arguments that are numbers of endless size": b'{"model":"MODEL","messages":[{"role":"user","content":"Hi"},'
    b'{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\\"a\\":'
    + b"9" * 5000
    + b'}"}}]}]}',
    "a schema that refers to itself": BASE
    + b',"tools":[{"type":"function","function":{"name":"f","parameters":{"$ref":"#"}}}]}',
    "a key twice further down": b'{"model":"MODEL","messages":[{"role":"user","content":"a","content":"b"}]}',
    "many messages": b'{"model":"MODEL","messages":[' + b",".join([b'{"role":"user","content":"Hi"}'] * 5000) + b"]}",
}

EXPECTED: dict[str, tuple[dict[str, bytes], tuple[int, ...]]] = {
    "not JSON": (NOT_JSON, (400,)),
    "wrong": (WRONG, (400,)),
    "odd": (ODD, (200,)),
    "undecided": (UNDECIDED, (200, 400, 404)),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        pytest.param(body, statuses, id=f"{group}: {name}")
        for group, (bodies, statuses) in EXPECTED.items()
        for name, body in bodies.items()
    ],
)
def test_body_has_its_answer(target: Target, body: bytes, statuses: tuple[int, ...], model: str) -> None:
    answer = target.ask(body.replace(b"MODEL", model.encode()), f"{model} JSON")
    assert answer.status in statuses, json.loads(answer.body)


def test_gateway_serves_on_after_all_of_it(target: Target) -> None:
    assert target.ask(BASE.replace(b"MODEL", b"fuzz-echo") + b"}").status == 200
