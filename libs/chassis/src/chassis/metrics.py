"""Counters, histograms and gauges over OTLP; without an endpoint they cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

_METER = metrics.get_meter("vitrine")
EXPORT_EVERY_MILLISECONDS = 15_000
READ_SECONDS_MAX = 3.0


def configure(*, service: str, endpoint: str) -> None:
    """Send metrics to an OTLP/HTTP collector; with no endpoint nothing of the SDK is imported."""
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=5),
        export_interval_millis=EXPORT_EVERY_MILLISECONDS,
    )
    resource = Resource({"service.name": service})
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader], resource=resource))


def end() -> None:
    """Hand over the last figures; with a collector that hangs it takes long, and may be left."""
    shutdown = getattr(metrics.get_meter_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()


def counter(name: str, *, unit: str = "1", description: str = "") -> Counter:
    return _METER.create_counter(name, unit=unit, description=description)


def histogram(name: str, *, unit: str = "s", description: str = "") -> Histogram:
    return _METER.create_histogram(name, unit=unit, description=description)


def gauge(name: str, read: Callable[[], float], *, unit: str = "1", description: str = "") -> None:
    """Register a gauge that is read when metrics are exported, where it was registered.

    The exporter has a thread of its own; what is read belongs to the event loop, and may ask for
    its time. A loop that hangs or has ended gives no figure.
    """
    loop = _loop_here()

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        if loop is None or loop is _loop_here():
            return [Observation(read())]
        answer: Future[float] = Future()
        try:
            loop.call_soon_threadsafe(_answer, answer, read)
            return [Observation(answer.result(READ_SECONDS_MAX))]
        except TimeoutError:
            return []
        except RuntimeError:
            if not loop.is_closed():
                raise
            return []

    _METER.create_observable_gauge(name, callbacks=[observe], unit=unit, description=description)


def _answer(answer: Future[float], read: Callable[[], float]) -> None:
    try:
        answer.set_result(read())
    except Exception as error:  # raised and logged by the exporter
        answer.set_exception(error)


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
