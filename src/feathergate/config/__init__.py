"""The settings: LiteLLM's `config.yaml`, read once into immutable structs, with every mistake in it at once.

    schema.py       what can be set; each field carries its documentation. Read this first.
    load.py         `load`, `from_environment`, `find_file`: the way in
    litellm.py      what LiteLLM's keys mean here: honoured, without effect yet, refused
    document.py     YAML into plain values and the place of each
    environment.py  `.env`, `${NAME}`, `os.environ/NAME`
    section.py      plain values into a struct's fields; unknown keys judged
    model.py        one entry of `model_list`
    finding.py      problems and notices as they are collected
    report.py       problems as a terminal shows them
    secret.py       a text that hides itself

Nothing here knows of providers, sockets or requests: a table of providers is passed in where names are checked.
"""
