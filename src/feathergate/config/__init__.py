"""The settings: LiteLLM's `config.yaml`, read once into immutable structs, with every mistake in it at once.

    schema.py       what can be set; each field carries its documentation. Read this first, with its parts
                    entry.py, router.py, server.py and kind.py
    load.py         `load`, `from_environment`, `find_file`: the way in
    litellm.py      what LiteLLM's keys mean here: honoured, without effect yet, refused
    document.py     YAML into plain values and the place of each
    environment.py  `.env`, `${NAME}`, `os.environ/NAME`
    section.py      plain values into a struct's fields; unknown keys judged
    model.py        one entry of `model_list`
    completion.py   what its provider adds to an entry
    routing.py      `router_settings`, from both sections where LiteLLM takes it
    fallback.py     fallbacks in all their forms, and what is found in them for a name
    naming.py       whether a name in a setting leads to a model
    difference.py   two configurations: what a reload changes
    finding.py      problems and notices as they are collected
    report.py       problems as a terminal shows them
    secret.py       a text that hides itself

Nothing here knows of providers, sockets or requests: a table of providers is passed in where names are checked.
"""
