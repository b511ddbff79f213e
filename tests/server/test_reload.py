"""The configuration read anew under a gateway that serves: all of it or nothing, and nobody under way notices."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e.scene import build_get, build_post
from tests.raw_client import Serving, serve

from feathergate.capability import Capability
from feathergate.config.load import load
from feathergate.config.schema import Config
from feathergate.http.ticker import Ticker
from feathergate.observe.metrics import Metrics
from feathergate.providers import PROVIDERS
from feathergate.runtime import Runtime, compile_runtime
from feathergate.server.app import App
from feathergate.server.contract import Reload
from feathergate.server.reload import Reloader, Reloading
from feathergate.shared import Shared
from feathergate.transport.contract import Transport
from feathergate.transport.upstream import HttpTransport

ONE = "model_list: [{model_name: one, litellm_params: {model: mock/echo}}]\n"
TWO = "model_list: [{model_name: two, litellm_params: {model: mock/echo}}]\n"
SLOW = "model_list: [{model_name: slow, litellm_params: {model: 'mock/echo?latency_ms=200'}}]\n"


class Scene(NamedTuple):
    """A gateway on `file`; `told` is what its owner hears of reloads, `asked` how often others were to reload too."""

    file: Path
    app: App
    serving: Serving
    reloader: Reloader
    told: list[Reload]
    asked: list[bool]

    async def reload(self, text: str) -> Reload:
        self.file.write_text(text)
        return await self.reloader.ask_all()

    async def ask(self, model: str) -> int:
        return (await self.serving.ask(build_chat(model))).status

    async def scrape(self) -> str:
        return (await self.serving.ask(build_get("/metrics"))).body.decode()


def read(config: Config) -> Config:
    return load(config.path, {}, known_providers=PROVIDERS, capability=Capability)


def build_chat(model: str, content: str = "Hi") -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": content}]}
    return build_post(json.dumps(body).encode())


@asynccontextmanager
async def open_scene(
    folder: Path, text: str, read: Callable[[Config], Config] = read, *, leads: bool = True
) -> AsyncIterator[Scene]:
    file = folder / "config.yaml"
    file.write_text(text)
    loop = asyncio.get_running_loop()
    shared = Shared(loop=loop, ticker=Ticker(loop), environ={}, now=lambda: 1_700_000_000.0)
    config = load(file, {}, known_providers=PROVIDERS, capability=Capability)
    metrics = Metrics(entry.model_name for entry in config.models)
    app = App(compile_runtime(config, shared, metrics))
    told: list[Reload] = []
    asked: list[bool] = []
    reloading = Reloading(read, told.append, None if leads else lambda: asked.append(True))
    async with serve(lambda request, responder: app.handle(request, responder)) as serving:
        reloader = Reloader(app, serving.server, reloading)
        yield Scene(file, app, serving, reloader, told, asked)
        await app.drain(1.0)
        reloader.close()
        shared.ticker.close()


def find_transports(runtime: Runtime) -> list[Transport]:
    return list(runtime.shared.transports.values())


def is_closed(transport: Transport) -> bool:
    assert isinstance(transport, HttpTransport)
    return transport.pool._closed


def build_upstream(*hosts: str) -> str:
    models = [
        {"model_name": host, "litellm_params": {"model": "openai/m", "api_base": f"http://{host}:9/v1", "api_key": "k"}}
        for host in hosts
    ]
    return json.dumps({"model_list": models})


# --- what is right ------------------------------------------------------------------------------------------------


async def test_new_configuration_serves_at_once(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        assert [await scene.ask("one"), await scene.ask("two")] == [200, 404]
        reload = await scene.reload(TWO)
        assert [await scene.ask("one"), await scene.ask("two")] == [404, 200]
    assert not reload.problems
    assert any("+ two" in change for change in reload.changes)
    assert scene.told == [reload]


async def test_request_under_way_keeps_the_configuration_it_began_with(tmp_path: Path) -> None:
    async with open_scene(tmp_path, SLOW) as scene:
        asking = asyncio.create_task(scene.ask("slow"))
        async with asyncio.timeout(2):
            while not scene.app.is_busy():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        await scene.reload(TWO)
        assert not asking.done()
        assert await asking == 200


async def test_metrics_know_the_new_names_and_tell_of_the_reload(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        await scene.reload(TWO)
        await scene.ask("two")
        text = await scene.scrape()
    assert 'feathergate_model_requests_total{model="two",provider="mock",status="200"} 1' in text
    assert 'feathergate_config_reloads_total{outcome="success"} 1\n' in text
    assert "feathergate_config_last_reload_successful 1\n" in text
    assert "feathergate_config_last_reload_success_timestamp_seconds 1700000000.0\n" in text


async def test_limits_of_the_http_room_follow(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        await scene.reload(ONE + "server_settings: {body_limit_bytes: 100}\n")
        assert (await scene.serving.ask(build_chat("one", "x" * 200))).status == 413


async def test_setting_that_cannot_follow_is_named(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        reload = await scene.reload(ONE + "server_settings: {access_log: false}\n")
    assert "server_settings.access_log: takes effect at the next start" in reload.changes


async def test_dotenv_is_read_again(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NAME=one\n")
    text = "model_list: [{model_name: '${NAME}', litellm_params: {model: mock/echo}}]\n"
    async with open_scene(tmp_path, text) as scene:
        (tmp_path / ".env").write_text("NAME=two\n")
        await scene.reload(text)
        assert [await scene.ask("one"), await scene.ask("two")] == [404, 200]


async def test_those_who_ask_before_it_begins_share_one_reload(tmp_path: Path) -> None:
    reads: list[Config] = []

    def note(config: Config) -> Config:
        reads.append(config)
        return read(config)

    async with open_scene(tmp_path, ONE, note) as scene:
        await asyncio.gather(*(scene.reloader.ask() for _ in range(100)))
        assert len(reads) == 1
        first = scene.reloader.ask()
        await asyncio.sleep(0)
        await asyncio.gather(first, *(scene.reloader.ask() for _ in range(100)))
        assert len(reads) == 3


# --- what is wrong ------------------------------------------------------------------------------------------------

BROKEN = {
    "YAML": ("model_list: [\n", "config.yaml:2:1"),
    "half-written": (ONE[:-20], "config.yaml:2:1"),
    "empty": ("", "config.yaml:1:1"),
    "only spaces": ("\n  \n", "config.yaml:"),
    "wrong type": ("model_list: 5\n", "config.yaml:1:13"),
    "wrong setting": (ONE + "server_settings: {keep_alive_s: soon}\n", "config.yaml:2:33"),
    "misspelled": (ONE + "router_settings: {num_retrys: 3}\n", "config.yaml:2:19"),
    "missing variable": (ONE.replace("mock/echo", "os.environ/ABSENT"), "config.yaml:1:56"),
    "address": (ONE.replace("mock/echo", "openai/m, api_key: k, api_base: 'ftp://x'"), "config.yaml:1:"),
    "CA": (ONE.replace("mock/echo", "openai/m, api_key: k") + "server_settings: {ca_file: ca.pem}\n", "config.yaml"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_file_leaves_the_old_one_and_says_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    text, place = BROKEN[case]
    (tmp_path / "ca.pem").write_text("no certificate")
    async with open_scene(tmp_path, ONE) as scene:
        before = scene.app.runtime
        reload = await scene.reload(text)
        assert scene.app.runtime is before
        assert await scene.ask("one") == 200
        assert "feathergate_config_last_reload_successful 0\n" in await scene.scrape()
    assert place in str(reload.problems[0])
    assert str(reload.problems[0]) in caplog.text
    assert scene.told == [reload]


async def test_file_that_is_gone_or_a_folder_leaves_the_old_one(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        scene.file.unlink()
        gone = await scene.reloader.ask_all()
        scene.file.mkdir()
        folder = await scene.reloader.ask_all()
        assert await scene.ask("one") == 200
    assert "there is no such file" in str(gone.problems[0])
    assert "this is a folder" in str(folder.problems[0])


async def test_mended_file_is_taken(tmp_path: Path) -> None:
    async with open_scene(tmp_path, ONE) as scene:
        await scene.reload("")
        await scene.reload(TWO)
        assert await scene.ask("two") == 200
        text = await scene.scrape()
    assert "feathergate_config_last_reload_successful 1\n" in text
    assert 'feathergate_config_reloads_total{outcome="failure"} 1\n' in text


async def test_unforeseen_failure_leaves_the_old_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(config: Config) -> Config:
        raise RuntimeError("a bug")

    async with open_scene(tmp_path, ONE, fail) as scene:
        assert (await scene.reloader.ask_all()).problems
        assert await scene.ask("one") == 200
        assert "feathergate_config_last_reload_successful 0\n" in await scene.scrape()
    assert "a bug" in caplog.text


async def test_very_many_problems_do_not_flood_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = [{"model_name": str(number), "litellm_params": 5} for number in range(500)]
    async with open_scene(tmp_path, ONE) as scene:
        reload = await scene.reload(json.dumps({"model_list": models}))
    assert len(reload.problems) == 500
    assert len(caplog.records) == 51
    assert "and 450 more" in caplog.text


# --- one of several workers ---------------------------------------------------------------------------------------


async def test_worker_of_several_has_the_others_reload_and_leaves_the_word_to_the_supervisor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with open_scene(tmp_path, ONE, leads=False) as scene:
        assert not (await scene.reload(TWO)).problems
        assert scene.asked == [True]
        assert 'outcome="success"} 0\n' in await scene.scrape()
    assert (scene.told, caplog.text) == ([], "")


async def test_worker_of_several_tells_what_it_alone_could_not_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_scene(tmp_path, ONE, leads=False) as scene:
        reload = await scene.reload("")
        assert scene.asked == []
        assert 'outcome="failure"} 1\n' in await scene.scrape()
    assert scene.told == [reload]
    assert "config.yaml:1:1" in caplog.text


# --- what lives on, and what does not -----------------------------------------------------------------------------


async def test_way_to_a_provider_that_stays_is_kept(tmp_path: Path) -> None:
    async with open_scene(tmp_path, build_upstream("a.invalid", "b.invalid")) as scene:
        kept = find_transports(scene.app.runtime)[0]
        await scene.reload(build_upstream("a.invalid", "c.invalid"))
        assert find_transports(scene.app.runtime)[0] is kept
        assert not is_closed(kept)


async def test_way_to_a_provider_that_is_gone_is_closed_after_its_last_request(tmp_path: Path) -> None:
    async with open_scene(tmp_path, build_upstream("a.invalid", "b.invalid")) as scene:
        request = [scene.app.runtime]  # what a request under way holds
        kept, gone = find_transports(scene.app.runtime)
        await scene.reload(build_upstream("a.invalid"))
        await asyncio.sleep(0.02)
        assert not is_closed(gone)
        request.clear()
        await asyncio.sleep(0.02)
        assert (is_closed(kept), is_closed(gone)) == (False, True)
        assert find_transports(scene.app.runtime) == [kept]


async def test_way_that_comes_back_before_the_last_request_ended_is_open(tmp_path: Path) -> None:
    async with open_scene(tmp_path, build_upstream("a.invalid")) as scene:
        request = [scene.app.runtime]
        await scene.reload(build_upstream("b.invalid"))
        await scene.reload(build_upstream("a.invalid"))
        request.clear()
        await asyncio.sleep(0.02)
        assert not any(map(is_closed, find_transports(scene.app.runtime)))


async def test_end_closes_every_way(tmp_path: Path) -> None:
    async with open_scene(tmp_path, build_upstream("a.invalid")) as scene:
        request = [scene.app.runtime]
        before = find_transports(scene.app.runtime)
        await scene.reload(build_upstream("b.invalid"))
        after = find_transports(scene.app.runtime)
    assert all(map(is_closed, (*before, *after)))
    request.clear()


async def test_old_configuration_is_freed_without_the_collector(tmp_path: Path) -> None:
    """The collector seldom comes (`garbage.py`): a hundred reloads must not pile up."""
    async with open_scene(tmp_path, ONE) as scene:
        gc.disable()
        try:
            olds = []
            for text in (TWO, ONE) * 5:
                olds.append(weakref.ref(scene.app.runtime))
                await scene.reload(text)
                await scene.ask("one")
            await asyncio.sleep(0.02)
            assert [old for old in olds[:-1] if old() is not None] == []
        finally:
            gc.enable()
