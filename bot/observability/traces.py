"""Traces for OpenTelemetry: only imported if the extra ``otel`` is installed and a variable says where traces go.

Spans hold only the class of an error: its text may quote people, and traces aren't redacted.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests
import requests.adapters
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bot import __version__
from bot.observability.telemetry import Attribute, Tracer
from bot.settings.network import DIRECT, Network

CLOSES_WITHIN_S: Final = 2.0
"""The process has 10 s to stop, which an unreachable collector mustn't use up."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class OtelTracer(Tracer):
    """Creates spans for what follows from a request; background work isn't traced."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("flokit-bot", __version__)

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        outward: bool = False,
        about: Mapping[str, Attribute] | None = None,
    ) -> Iterator[None]:
        """Wrap a piece of work; see ``Tracer``."""
        if parent is None and not get_current_span().get_span_context().is_valid:
            yield
            return
        context = None if parent is None else _PROPAGATOR.extract({"traceparent": parent}, Context())
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=SpanKind.CLIENT if outward else SpanKind.INTERNAL,
            attributes=_given(about or {}),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def note(self, **attributes: Attribute) -> None:
        """Add attributes to the current span."""
        get_current_span().set_attributes(_given(attributes))

    def traceparent(self) -> str:
        """Return the current span's ID; "" without a span."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent", "")

    def close(self) -> None:
        """Send the spans that haven't been sent yet, within ``CLOSES_WITHIN_S``."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSES_WITHIN_S)


def _given(attributes: Mapping[str, Attribute]) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _make_session(network: Network) -> requests.Session:
    """Make the exporter's HTTP session, which uses ``network`` instead of the environment."""

    class Session(requests.Session):
        def merge_environment_settings(
            self, url: Any, _proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> dict[str, Any]:
            proxy = network.proxies.proxy_for(str(url))
            chosen = {"http": proxy.url, "https": proxy.url} if proxy else {}
            return dict(super().merge_environment_settings(url, chosen, stream, verify, cert))

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> Any:
            return super().init_poolmanager(*arguments, ssl_context=network.make_tls(), **options)

        def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
            tls = {"ssl_context": network.make_tls(), "proxy_ssl_context": network.make_tls()}
            return super().proxy_manager_for(proxy, **{**options, **tls})

    session = Session()
    session.trust_env = False
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    return session


def make_tracer(network: Network = DIRECT) -> OtelTracer:
    """Make a tracer that sends OTLP over HTTP to the collector in the standard OTEL_* variables.

    https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - tests don't need it

    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "flokit-bot", "service.version": __version__}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=_make_session(network))))
    return OtelTracer(provider)
