"""What is said of a connection that failed, and what can be done about it."""

import ssl

import httpcore2

from services.errors import FetchError, FetchRefused, FetchTimeout, FetchTooLarge, FetchUnreachable
from services.outbound.connections import BYTES_A_SECOND, HEAD_BYTES, Diverted, HeadTooLarge, NotPermitted, TooSlow

FAILURES = (
    NotPermitted,
    Diverted,
    HeadTooLarge,
    TooSlow,
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
)


def failure(error: Exception, what: str, seconds: float, *, is_late: bool) -> FetchError:
    """The error of a fetch.

    Args:
        error: One of `FAILURES`.
        what: What was fetched.
        seconds: How long the fetch may take.
        is_late: Whether it has taken as long.
    """
    match error:
        case NotPermitted():
            return FetchRefused(
                f"{what} leads to an address that is not public; "
                "if images may come from there, add its host to LOOKALIKE_FETCH_ALLOW."
            )
        case Diverted():
            return FetchRefused(
                f"{what} was connected to another address than its host has; "
                "stop what redirects the connections of this service, such as proxychains."
            )
        case HeadTooLarge():
            return FetchTooLarge(f"{what} is answered with a head of more than {HEAD_BYTES:,} bytes; give another URL.")
        case TooSlow():
            return FetchTimeout(
                f"{what} is answered with fewer than {BYTES_A_SECOND:,} bytes a second; try again later."
            )
        case httpcore2.ConnectTimeout() if not is_late:
            return FetchTimeout(f"{what} accepts no connection; check its host and port, or try again later.")
        case httpcore2.TimeoutException():
            return FetchTimeout(f"{what} took more than {seconds:g} seconds; try again later, or give a smaller image.")
        case httpcore2.ConnectError():
            return FetchUnreachable(f"{what} cannot be reached {_reason(error)}.")
    return FetchUnreachable(f"{what} broke off or is no valid HTTP; try again later, or check its host and port.")


def _reason(error: httpcore2.ConnectError) -> str:
    """Why there is no connection, and what helps."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        told = cause.verify_message.rstrip(".")
        # A file in SSL_CERT_FILE takes the place of the system's: one with this CA alone would refuse all other hosts.
        return f"(certificate refused: {told}); correct it, or add its CA to the system's CAs or those of SSL_CERT_FILE"
    if isinstance(cause, ssl.SSLError):
        return "(no TLS); check its host and port, and whether it is http://"
    told = cause.strerror if isinstance(cause, OSError) and cause.strerror else "no connection"
    return f"({told}); check its host and port, or try again later"
