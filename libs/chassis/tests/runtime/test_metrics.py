"""Gauges are exported by a thread, and read where they belong. In a process: one provider each."""

import asyncio
import sys
import textwrap

import pytest

PROCESS = """
    import asyncio, sys, threading
    from opentelemetry import metrics as api
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from chassis import metrics

    reader = InMemoryMetricReader()
    api.set_meter_provider(MeterProvider(metric_readers=[reader]))

    def seen():
        found = reader.get_metrics_data()
        if found is None:
            return {}
        return {
            metric.name: [point.value for point in metric.data.data_points]
            for resource in found.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def broken():
        raise ValueError("this one cannot be read")

    async def main():
        metrics.READ_SECONDS_MAX = 0.5
        metrics.gauge("asks.the.loop", lambda: float(asyncio.get_running_loop().time() > 0))
        metrics.gauge("broken", broken)
        metrics.gauge("fine", lambda: 2.0)
        if sys.argv[1] == "thread":
            return await asyncio.to_thread(seen)
        if sys.argv[1] == "loop":
            return seen()
        if sys.argv[1] == "hangs":
            told = []
            thread = threading.Thread(target=lambda: told.append(seen()))
            thread.start()
            thread.join()
            return told[0]

    found = asyncio.run(main())
    print(seen() if found is None else found)
"""


@pytest.mark.parametrize(
    ("where", "exported"),
    [
        ("thread", "{'asks.the.loop': [1.0], 'fine': [2.0]}"),
        ("loop", "{'asks.the.loop': [1.0], 'fine': [2.0]}"),
        ("hangs", "{}"),
        ("after its end", "{}"),
    ],
)
async def test_a_gauge_is_read_on_its_loop_or_not_at_all(where: str, exported: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(PROCESS), where),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)

    assert output.decode().strip() == exported, errors.decode()
    # What cannot be read is told, and takes no other with it.
    assert ("this one cannot be read" in errors.decode()) == (exported != "{}")
