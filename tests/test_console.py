"""What commands write, and their exit codes, whatever stdout and stderr are."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from sandbox.child import BotProcess
from tests.test_cli import FLOKIT_BOT, SETTINGS, audited, call_beside, clean, stand_ins

ENDS_WITHIN_S = 60
NARROW = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252:strict"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
]


def in_shell(folder, command, **settings):
    """Run a shell command in a folder."""
    return subprocess.run(  # noqa: S602 - the test needs the shell's redirections; the command is the test's own
        command.replace("flokit-bot", FLOKIT_BOT[0]),
        shell=True,
        cwd=folder,
        env=clean(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=ENDS_WITHIN_S,
    )


@pytest.mark.parametrize("narrow", NARROW, ids=str)
async def test_check_survives_a_stdout_that_is_not_utf8(tmp_path, narrow):
    """Each finding is a line that begins with its mark, or with a word if the mark can't be encoded."""
    async with stand_ins() as (settings, _slack):
        process = await call_beside(tmp_path, "check", **{**settings, **narrow, "FLOKIT_API_KEY": "key-that-is-wrong"})
    code, out, err = process
    marks = {line.split(" ")[0] for line in out.splitlines()}
    assert (code, "Traceback" in err) == (SETTINGS, False)
    assert marks <= {"ok", "wrong", "?"} or marks <= {"✓", "✗", "?"}
    assert len(marks) > 1


@pytest.mark.parametrize("command", ["migrate --help", "check", "migrate"])
@pytest.mark.parametrize("narrow", NARROW, ids=str)
def test_commands_work_in_any_encoding(tmp_path, command, narrow):
    """Help and sentences about settings are written in any encoding."""
    done = subprocess.run(
        [*FLOKIT_BOT, *command.split()], cwd=tmp_path, env={**clean({}), **narrow}, capture_output=True, check=False
    )
    assert done.returncode in (0, SETTINGS)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("narrow", NARROW, ids=str)
@pytest.mark.parametrize("style", ["csv", "jsonl"])
def test_exports_are_utf8(tmp_path, narrow, style):
    """The audit is UTF-8 whatever the terminal's encoding, because programs read it."""
    settings = audited(tmp_path, ("UANA", "aña 日本 ✓", "resync", "int_1", "started"))
    done = subprocess.run(
        [*FLOKIT_BOT, "audit", "--format", style],
        cwd=tmp_path,
        env={**clean(settings), **narrow},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert "aña 日本 ✓" in text or "\\u65e5" in text


@pytest.mark.parametrize("closing_of", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("command", "code"), [("--help", 0), ("check", SETTINGS), ("run", SETTINGS), ("migrate", 0)])
def test_closed_streams_change_no_exit_code(tmp_path, command, code, closing_of):
    """If a supervisor closed stdin, stdout or stderr, the exit code is the same, and no file gets their output."""
    settings = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/flokit.db"}
    done = in_shell(tmp_path, f"flokit-bot {command} {closing_of}", **settings)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


@pytest.mark.parametrize(("command", "code"), [("--help", 0), ("check", SETTINGS), ("run", SETTINGS), ("migrate", 0)])
@pytest.mark.parametrize("away", ["> /dev/full 2> /dev/full"])
def test_full_disks_change_no_exit_code(tmp_path, command, code, away):
    """What can't be written is dropped; the exit code is still right."""
    settings = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/flokit.db"}
    done = in_shell(tmp_path, f"flokit-bot {command} {away}", **settings)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


async def test_a_check_whose_output_is_cut_off_has_the_right_exit_code(tmp_path):
    """``check | head -1`` exits according to what it found, without a traceback."""
    async with stand_ins() as (settings, _slack):
        wrong = clean({**settings, "FLOKIT_API_KEY": "key-that-is-wrong"})
        command = f"{FLOKIT_BOT[0]} check | true; exit ${{PIPESTATUS[0]}}"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, cwd=tmp_path, env=wrong, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
    assert (process.returncode, err) == (SETTINGS, b"")


@pytest.mark.parametrize(("away", "words"), [(">&-", "stdout is closed"), ("> /dev/full", "No space left on device")])
def test_an_audit_that_cannot_be_written_exits_with_74(tmp_path, away, words):
    """Even if part of it was written."""
    settings = audited(tmp_path, ("UANA", "ana", "resync", "int_1", "started"))
    done = in_shell(tmp_path, f"flokit-bot audit --format csv {away}", **settings)
    assert (done.returncode, len(done.stderr.splitlines())) == (74, 1)
    assert words in done.stderr


# --- what ends `run` is found by `check` ---------------------------------------------------------------------------

ENDING = [
    ("HOST", "192.0.2.1"),
    ("HOST", "no.such.host.invalid"),
    ("HOST", "a..b"),
    ("HOST", "[::1"),
    ("HOST", "x" * 300),
    ("HOST", "::zz"),
    ("POLICY_FILE", "/nowhere.yaml"),
    ("POLICY_FILE", "/"),
    ("DATABASE_URL", "sqlite+aiosqlite:////proc/flokit.db"),
    ("DATABASE_URL", "sqlite+aiosqlite:////dev/null/flokit.db"),
    ("SLACK_BOT_TOKEN", "xoxb-of-somebody-else"),
    ("SLACK_APP_TOKEN", "xapp-of-somebody-else"),
    ("FLOKIT_API_URL", "https://a..b"),
    ("FLOKIT_API_URL", "https://" + "x" * 300),
    ("SLACK_API_URL", "https://a..b/api/"),
    ("SLACK_API_URL", "https://[fe80::1%25eth0]/"),
    ("FLOKIT_API_URL", "http://127.0.0.1:1/%zz"),
    ("SSL_CERT_FILE", "/nowhere.pem"),
    ("all_proxy", "socks5://127.0.0.1:1"),
]


@pytest.mark.parametrize(("name", "value"), ENDING, ids=[f"{name}={value[:40]}" for name, value in ENDING])
async def test_what_ends_run_is_wrong_in_check(tmp_path, name, value):
    """Both name the setting, or accept it; no finding is a class name or a traceback."""
    async with stand_ins() as (right, _slack):
        settings = {**right, "PORT": "0", name: value}
        code, out, err = await call_beside(tmp_path, "check", **settings)
        process = await asyncio.create_subprocess_exec(
            *FLOKIT_BOT, "run", cwd=tmp_path, env=clean(settings), stderr=asyncio.subprocess.PIPE
        )
        said = await until_decided(process)
    assert "Traceback" not in out + err + said
    assert "Error)" not in out
    if process.returncode:
        assert (code, process.returncode) == (SETTINGS, SETTINGS)


async def until_decided(process):
    """Wait until ``run`` exited or is running, then stop it; return its log."""
    lines = []
    async for line in process.stderr:
        lines.append(line.decode(errors="replace"))
        if "connected" in lines[-1] or "slack_unreachable" in lines[-1]:
            process.terminate()
    await process.wait()
    return "".join(lines)


async def test_a_port_that_is_already_used_is_reported(tmp_path):
    """``check`` finds that the port is taken, as ``run`` would."""
    async with stand_ins() as (settings, slack):
        port = slack.url.rpartition(":")[2]
        code, out, _ = await call_beside(tmp_path, "check", **settings, PORT=port)
    assert code == SETTINGS
    assert f"✗ HOST, PORT: can't listen on 127.0.0.1:{port}" in out


async def test_check_succeeds_beside_a_running_bot(tmp_path):
    """A port that a bot already listens on isn't an error."""
    async with stand_ins() as (settings, slack):
        bot = BotProcess({**settings, "PORT": "0", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db"}, tmp_path)
        await bot.start()
        await slack.wait_connected(timeout_s=30)
        code, out, _ = await call_beside(tmp_path, "check", **settings, PORT=bot.address.rpartition(":")[2])
        await bot.stop()
    assert code == 0, out
    assert "✓ HOST, PORT: a bot is already listening on 127.0.0.1:" in out
