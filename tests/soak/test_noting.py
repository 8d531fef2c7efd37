"""The soak's own errors: recorded with their step and traceback, while the next steps continue."""

import asyncio

from soak.noting import Faults


def test_an_error_is_recorded_and_the_next_step_runs():
    faults = Faults()
    with faults.noting("collecting snoozes"):
        {}["C8SHARED15"]
    with faults.noting("collecting digests"):
        pass
    [fault] = faults.seen
    assert fault.startswith("collecting snoozes: Traceback")
    assert fault.endswith("KeyError: 'C8SHARED15'")


async def test_the_error_of_a_task_that_is_not_awaited_is_recorded():
    async def fails():
        raise ValueError("of an errand")

    faults = Faults()
    task, endless = asyncio.create_task(fails()), asyncio.create_task(asyncio.Event().wait())
    faults.watch("an errand", task)
    faults.watch("an endless errand", endless)
    endless.cancel()
    await asyncio.wait([task, endless])
    [fault] = faults.seen
    assert fault.endswith("ValueError: of an errand")
